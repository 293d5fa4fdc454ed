package cli

import (
	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/config"
)

// configFlags are the settings of package config as flags of one command.
type configFlags struct {
	file  string
	texts map[string][]string
}

// addConfigFlags gives cmd a flag for each setting, with the defaults of base in its help.
func addConfigFlags(cmd *cobra.Command, base config.Config) *configFlags {
	f := &configFlags{texts: map[string][]string{}}
	cmd.Flags().StringVar(&f.file, "config", "", "TOML `file` with settings; flags and STAGEDOOR_* variables are stronger")
	for _, s := range base.Settings() {
		flag := cmd.Flags().VarPF(&flagValue{setting: s, texts: f.texts}, s.Flag(), "", s.Help+" ["+s.Variable()+"]")
		if s.Switch {
			flag.NoOptDefVal = "true"
		}
	}
	return f
}

// load is the configuration from all sources.
func (f *configFlags) load(base config.Config, env func(string) string) (config.Config, error) {
	return config.Load(base, config.Sources{Flags: f.texts, Env: env, File: f.file})
}

// flagValue collects the texts of one flag; package config judges them.
type flagValue struct {
	setting config.Setting
	texts   map[string][]string
}

// String is the default, for the help.
func (v *flagValue) String() string {
	if v.setting.Key == "" { // pflag asks a zero value whether the default is one
		return ""
	}
	return v.setting.Value()
}

// Set takes one occurrence of the flag.
func (v *flagValue) Set(text string) error {
	if !v.setting.Repeats {
		v.texts[v.setting.Key] = nil
	}
	v.texts[v.setting.Key] = append(v.texts[v.setting.Key], text)
	return nil
}

// Type names the value in the help.
func (v *flagValue) Type() string {
	if v.setting.Switch {
		return "bool"
	}
	return v.setting.Form
}
