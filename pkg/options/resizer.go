package options

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The names of what --controllers turns on.
const (
	controllerProvisioner = "provisioner"
	controllerResizer     = "resizer"
)

// resizerProgram is external-resizer's name: a program that is started under it
// takes that one's place alone.
const resizerProgram = "csi-resizer"

func controllerNames() []string { return []string{controllerProvisioner, controllerResizer} }

func addControllers(fs *pflag.FlagSet, r *raw) {
	fs.StringSliceVar(&r.controllers, "controllers", controllerNames(), "What the program does: provisioner creates and deletes volumes, resizer expands and modifies them.")
}

func addResizer(fs *pflag.FlagSet, c *Config, r *raw) {
	z := &c.Resizer
	fs.IntVar(&r.workers, "workers", 10, "Number of ControllerExpandVolume calls, and of ControllerModifyVolume calls, at one time.")
	fs.DurationVar(&z.Timeout, "resizer-timeout", 0, "Timeout of calls that expand or modify volumes; by default that of --timeout.")
	fs.DurationVar(&z.ExpandTimeout, "resize-timeout", 0, "Timeout of calls that expand volumes; by default that of --resizer-timeout.")
	fs.DurationVar(&z.ModifyTimeout, "modify-timeout", 0, "Timeout of calls that modify volumes; by default that of --resizer-timeout.")
	fs.DurationVar(&z.RetryStart, "resizer-retry-interval-start", 0, "Time to the first retry of expanding or modifying a volume; by default that of --retry-interval-start.")
	fs.DurationVar(&z.RetryMax, "resizer-retry-interval-max", 0, "Longest time between two retries of expanding or modifying a volume; by default that of --retry-interval-max.")
	fs.DurationVar(&z.Resync, "resync-period", 10*time.Minute, "Period in which all claims are looked at again, to be expanded and modified.")
	fs.BoolVar(&z.HandleVolumeInUseError, "handle-volume-inuse-error", true, "Wait for the pods of a volume to end that the driver can't expand while it is in use; needs the right to list and watch pods.")
	fs.BoolVar(&z.ExtraModifyMetadata, "extra-modify-metadata", false, "Add the names of claim and volume to the parameters of ControllerModifyVolume.")
	fs.BoolVar(&z.BackfillExpandSecrets, "backfill-expand-secrets", false, "When a volume is expanded that was made before its class named a controller-expand secret, set the secret first.")
}

// settleResizer fills in what the resizer takes from the flags for all.
func settleResizer(c *Config, r raw) error {
	if len(r.controllers) == 0 {
		return fmt.Errorf("--controllers=: must name at least one of %s", strings.Join(controllerNames(), ", "))
	}
	for _, name := range r.controllers {
		switch strings.TrimSpace(name) {
		case controllerProvisioner:
			c.Controllers.Provisioner = true
		case controllerResizer:
			c.Controllers.Resizer = true
		default:
			return fmt.Errorf("--controllers: unknown controller %q%s: known are %s", name, hint(name, controllerNames(), ""), strings.Join(controllerNames(), ", "))
		}
	}
	z := &c.Resizer
	z.Threads = r.workers
	z.Timeout = cmp.Or(z.Timeout, c.CSI.Timeout)
	for setting, common := range map[*time.Duration]time.Duration{
		&z.ExpandTimeout: z.Timeout, &z.ModifyTimeout: z.Timeout, &z.RetryStart: c.Work.RetryStart, &z.RetryMax: c.Work.RetryMax,
	} {
		*setting = cmp.Or(*setting, common)
	}
	return nil
}

func validateResizer(z Resizer) []error {
	var errs []error
	if z.Threads < 1 {
		errs = append(errs, fmt.Errorf("--workers=%d: must be at least 1", z.Threads))
	}
	for flag, timeout := range map[string]time.Duration{"resizer-timeout": z.Timeout, "resize-timeout": z.ExpandTimeout, "modify-timeout": z.ModifyTimeout} {
		if timeout < 0 {
			errs = append(errs, fmt.Errorf("--%s=%s: must be longer than 0", flag, timeout))
		}
	}
	if z.RetryStart < 0 || z.RetryMax < z.RetryStart {
		errs = append(errs, fmt.Errorf("--resizer-retry-interval-max=%s: must not be shorter than --resizer-retry-interval-start=%s", z.RetryMax, z.RetryStart))
	}
	if z.Resync < 0 {
		errs = append(errs, fmt.Errorf("--resync-period=%s: must not be negative; 0 is never", z.Resync))
	}
	return errs
}

// ForProgram returns the arguments of a program that was started under that name
// or path: external-resizer, by whose name this program does that one's work
// alone, takes long flags with one dash, too.
func ForProgram(program string, args []string) []string {
	if filepath.Base(program) != resizerProgram {
		return args
	}
	long := slices.Clone(args)
	for i, arg := range long {
		if name, isFlag := strings.CutPrefix(arg, "-"); isFlag && !strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "v=") && len(name) > 1 {
			long[i] = "--" + name
		}
	}
	if slices.ContainsFunc(long, func(arg string) bool { return strings.HasPrefix(arg, "--controllers") }) {
		return long
	}
	return append([]string{"--controllers=" + controllerResizer}, long...)
}
