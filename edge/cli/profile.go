package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// cpuProfile is the flag, hidden, that has any command write a CPU profile of itself.
const cpuProfile = "cpuprofile"

func addProfileFlag(root *cobra.Command) {
	root.PersistentFlags().String(cpuProfile, "", "`file` for a CPU profile of the process")
	_ = root.PersistentFlags().MarkHidden(cpuProfile) // it was just added
}

func profileFlag(cmd *cobra.Command) string {
	flag := cmd.Flag(cpuProfile)
	if flag == nil {
		return ""
	}
	return flag.Value.String()
}

// profile starts a CPU profile if one is wanted. stop writes it.
func profile(cmd *cobra.Command) (stop func() error, err error) {
	name := profileFlag(cmd)
	if name == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", cpuProfile, err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("--%s: %w", cpuProfile, err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
