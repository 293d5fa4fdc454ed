package overlay

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a module of one program that says hello.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/hello\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { print(\"hello\") }\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAProgramIsBuiltWithItsChanges(t *testing.T) {
	root, program := tree(t), filepath.Join(t.TempDir(), "hello")
	files, err := Apply(root, []Patch{
		{"shouts", "main.go", `print("hello")`, `print(word(), "!")`},
		{"shouts", "main.go", `"!"`, `"!!"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	files["word.go"] = []byte("package main\n\nfunc word() string { return \"HELLO\" }\n")
	if err := Build(t.Context(), root, program, ".", files); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil || string(out) != "HELLO!!" {
		t.Errorf("it says %q (%v)", out, err)
	}
	left, err := os.ReadFile(filepath.Join(root, "main.go"))
	if err != nil || !strings.Contains(string(left), "hello") {
		t.Errorf("the tree was changed: %s", left)
	}
}

func TestATableThatDoesNotFitIsAnError(t *testing.T) {
	root := tree(t)
	for find, why := range map[string]string{"no such text": "0 times", "main": "2 times"} {
		if _, err := Apply(root, []Patch{{"wrong", "main.go", find, ""}}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", find, err)
		}
	}
	if _, err := Apply(root, []Patch{{"wrong", "nowhere.go", "x", "y"}}); err == nil {
		t.Error("a file that is not there can be changed")
	}
	if err := Build(t.Context(), root, filepath.Join(t.TempDir(), "x"), ".", map[string][]byte{"main.go": []byte("package")}); err == nil {
		t.Error("what is no Go is built")
	}
}
