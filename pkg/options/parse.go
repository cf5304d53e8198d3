package options

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// ErrHelp is returned when the command line asks for help, which has been
// printed.
var ErrHelp = pflag.ErrHelp

// Parse returns the configuration that the arguments (without the program's
// name) and the environment ask for. Help is printed to output. The error names
// everything that is wrong.
func Parse(args []string, environment func(string) string, output io.Writer) (Config, error) {
	var c Config
	var r raw
	fs := flagSet(&c, &r)
	fs.SetOutput(output)
	fs.Usage = func() {
		_, _ = fmt.Fprintf(output, "csi-provisioner creates and deletes volumes of a CSI driver for Kubernetes.\n\nFlags:\n%s", fs.FlagUsages())
	}
	if err := fs.Parse(args); err != nil {
		return Config{}, explain(err, fs)
	}
	if fs.NArg() > 0 {
		return Config{}, fmt.Errorf("unexpected argument %q: flags are written as --name=value", fs.Arg(0))
	}
	settleNode(&c, &r, environment, fs.Changed("controllers"))
	if err := settle(&c, r, environment); err != nil {
		return Config{}, err
	}
	return c, validate(c)
}

// explain adds to the error of an unknown flag what may have been meant.
func explain(err error, fs *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	if fix, ok := retired(unknown.GetSpecifiedName()); ok {
		return fmt.Errorf("the flag --%s is gone: %s", unknown.GetSpecifiedName(), fix)
	}
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	return fmt.Errorf("%w%s: --help lists all flags", err, hint(unknown.GetSpecifiedName(), known, "--"))
}

// settle fills in what is not a flag's plain value.
func settle(c *Config, r raw, environment func(string) string) error {
	if r.metricsAddress != "" && c.HTTP.Endpoint != "" {
		return errors.New("--metrics-address and --http-endpoint are both given: keep --http-endpoint only")
	}
	if r.metricsAddress != "" {
		c.HTTP.Endpoint = r.metricsAddress
	}
	if file := environment("KUBECONFIG"); file != "" {
		c.Kube.Kubeconfig = file
	}
	if c.LeaderElection.Namespace == "" {
		c.LeaderElection.Namespace = environment("POD_NAMESPACE")
	}
	c.LeaderElection.Labels = r.labels
	c.Kube.QPS = float32(r.qps)
	c.Work.Threads = int(min(r.threads, math.MaxInt32))
	c.Gates = r.gates.settle()
	settleJournal(c, environment)
	settleProtection(c, r)
	settleCapacity(c, r.capacity, environment)
	return settleResizer(c, r)
}

const (
	// minUUIDLength is the shortest part of a UID that is let to tell volumes
	// apart: 32 bits.
	minUUIDLength = 8
	maxUUIDLength = 32
	// renewMargin is how much longer than the retry period the renew deadline
	// must be, as client-go demands.
	renewMargin = 1.2
)

func validate(c Config) error {
	var errs []error
	wrong := func(flag string, value any, fix string) {
		errs = append(errs, fmt.Errorf("--%s=%v: %s", flag, value, fix))
	}
	positive := func(flag string, value time.Duration) {
		if value <= 0 {
			wrong(flag, value, "must be longer than 0")
		}
	}
	positive("timeout", c.CSI.Timeout)
	positive("retry-interval-start", c.Work.RetryStart)
	if c.Work.RetryMax < c.Work.RetryStart {
		wrong("retry-interval-max", c.Work.RetryMax, fmt.Sprintf("must not be shorter than --retry-interval-start=%s", c.Work.RetryStart))
	}
	if c.CSI.Address == "" {
		wrong("csi-address", c.CSI.Address, "must be the path of the driver's socket")
	}
	if c.Work.Threads < 1 {
		wrong("worker-threads", c.Work.Threads, "must be at least 1")
	}
	if c.Volumes.VolumeNamePrefix == "" {
		wrong("volume-name-prefix", c.Volumes.VolumeNamePrefix, "must not be empty")
	}
	if n := c.Volumes.VolumeNameUUIDLength; n != -1 && (n < minUUIDLength || n > maxUUIDLength) {
		wrong("volume-name-uuid-length", n, fmt.Sprintf("must be -1, or from %d to %d: shorter names would soon be the same for two claims", minUUIDLength, maxUUIDLength))
	}
	errs = append(errs, validateJournal(c.Journal)...)
	errs = append(errs, validateResizer(c.Resizer)...)
	errs = append(errs, validateCapacity(c)...)
	errs = append(errs, validateProtection(c.Protection)...)
	errs = append(errs, validateNode(c)...)
	if c.Kube.QPS < 0 {
		wrong("kube-api-qps", c.Kube.QPS, "must not be negative; 0 is no limit")
	}
	if c.Kube.QPS > 0 && c.Kube.Burst < 1 {
		wrong("kube-api-burst", c.Kube.Burst, "must be at least 1")
	}
	if !strings.HasPrefix(c.HTTP.MetricsPath, "/") {
		wrong("metrics-path", c.HTTP.MetricsPath, "must begin with a slash")
	}
	return errors.Join(append(errs, validateElection(c.LeaderElection)...)...)
}

func validateElection(l LeaderElection) []error {
	var errs []error
	if l.RetryPeriod <= 0 {
		errs = append(errs, fmt.Errorf("--leader-election-retry-period=%s: must be longer than 0", l.RetryPeriod))
	}
	if float64(l.RenewDeadline) <= renewMargin*float64(l.RetryPeriod) {
		errs = append(errs, fmt.Errorf("--leader-election-renew-deadline=%s: must be longer than %.1f times --leader-election-retry-period=%s", l.RenewDeadline, renewMargin, l.RetryPeriod))
	}
	if l.LeaseDuration <= l.RenewDeadline {
		errs = append(errs, fmt.Errorf("--leader-election-lease-duration=%s: must be longer than --leader-election-renew-deadline=%s", l.LeaseDuration, l.RenewDeadline))
	}
	return errs
}
