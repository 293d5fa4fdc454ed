package report

import (
	"bytes"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// chromium runs a headless browser on a file and gives what it writes to stdout, and what the page wrote to the console.
func chromium(t *testing.T, file string, flags ...string) (dom string, console []string) {
	t.Helper()
	program := os.Getenv("CHROMIUM")
	if program == "" {
		program = "/usr/bin/chromium"
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("no browser to look at the page with (install Chromium, or name it in CHROMIUM): %v", err)
	}
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // a helper of the browser may write to it to the last, which fails the removal of t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--user-data-dir=" + profile,
	}
	cmd := exec.CommandContext(t.Context(), program, append(append(args, flags...), "file://"+file)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return out.String(), console
}

func write(t *testing.T, page string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheBrowserShowsThePage(t *testing.T) {
	t.Parallel()
	r, catalogue := fixture(t)
	dom, console := chromium(t, write(t, pageOf(t, r, catalogue)), "--dump-dom")
	if len(console) > 0 {
		t.Errorf("the console says %q", console)
	}
	if !strings.Contains(dom, `<p id="verdict" class="verdict">NOT CONFORMANT core,kv @ protocol 1, suite 1.2.3 (2 of 4 cases failed: CC-01/look, CC-02/MON-07)</p>`) {
		t.Error("the verdict line is not there")
	}
	arrows := 0
	for _, f := range failures(r, catalogue) {
		if f.Diagram != nil {
			arrows += f.Diagram.Arrows
		}
	}
	if got := strings.Count(dom, `<g class="arrow`); got != arrows || arrows < 8+20 {
		t.Errorf("%d arrows are drawn, want %d", got, arrows)
	}
	if strings.Count(dom, "<svg") != 2 || strings.Count(dom, `<g class="fault"`) != 2 {
		t.Error("there are not two diagrams with a fault each")
	}
	// What the runner said is text: nothing of it became an element, and nothing ran.
	for _, forbidden := range []string{"<script", "<img", `id="owned"`, "<h1 id", "<title>owned"} {
		if strings.Contains(dom, forbidden) {
			t.Errorf("the document holds %s", forbidden)
		}
	}
	if strings.Count(dom, "<h1") != 1 {
		t.Error("there is more than one headline")
	}
}

// The check for errors would see one: the page's own policy refuses what it does not hold.
func TestTheBrowserWouldComplain(t *testing.T) {
	t.Parallel()
	r, catalogue := fixture(t)
	page := strings.Replace(pageOf(t, r, catalogue), "<main>", "<main><script>document.title = 'owned'</script>", 1)
	dom, console := chromium(t, write(t, page), "--dump-dom")
	if len(console) == 0 || strings.Contains(dom, "<title>owned") {
		t.Errorf("the console says %q about a script", console)
	}
}

func TestThePageCanBeSeen(t *testing.T) {
	t.Parallel()
	r, catalogue := fixture(t)
	file := write(t, pageOf(t, r, catalogue))
	for name, flags := range map[string]string{"light": "--blink-settings=preferredColorScheme=1", "dark": "--blink-settings=preferredColorScheme=0"} {
		t.Run(name, func(t *testing.T) {
			picture := filepath.Join(t.TempDir(), "page.png")
			chromium(t, file, flags, "--window-size=1200,1600", "--screenshot="+picture)
			opened, err := os.Open(picture)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = opened.Close() }()
			image, err := png.Decode(opened)
			if err != nil {
				t.Fatal(err)
			}
			colours := map[[3]uint32]bool{}
			for y := image.Bounds().Min.Y; y < image.Bounds().Max.Y; y += 3 {
				for x := image.Bounds().Min.X; x < image.Bounds().Max.X; x += 3 {
					red, green, blue, _ := image.At(x, y).RGBA()
					colours[[3]uint32{red, green, blue}] = true
				}
			}
			red, green, blue, _ := image.At(2, 2).RGBA()
			if light := red+green+blue > 3*0x8000; light != (name == "light") || len(colours) < 50 {
				t.Errorf("the ground is %x %x %x, there are %d colours", red>>8, green>>8, blue>>8, len(colours))
			}
		})
	}
}
