package options_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// parsed is what the arguments ask for, without an environment.
func parsed(t *testing.T, args ...string) options.Config {
	t.Helper()
	config, err := options.Parse(args, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	return config
}

// started is what a program of that name is set to with the arguments.
func started(t *testing.T, program string, args ...string) options.Config {
	t.Helper()
	return parsed(t, options.ForProgram(program, args)...)
}

func TestControllers(t *testing.T) {
	both := options.Controllers{Provisioner: true, Resizer: true}
	for name, test := range map[string]struct {
		args []string
		want options.Controllers
	}{
		"by default":      {nil, both},
		"both":            {[]string{"--controllers=provisioner,resizer"}, both},
		"in other order":  {[]string{"--controllers=resizer, provisioner"}, both},
		"twice":           {[]string{"--controllers=resizer", "--controllers", "provisioner"}, both},
		"the provisioner": {[]string{"--controllers=provisioner"}, options.Controllers{Provisioner: true}},
		"the resizer":     {[]string{"--controllers=resizer"}, options.Controllers{Resizer: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parsed(t, test.args...).Controllers; got != test.want {
				t.Errorf("Controllers = %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestControllersAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		want  []string
	}{
		"unknown":   {"attacher", []string{"attacher", "provisioner, resizer"}},
		"mistyped":  {"provisioner,resiser", []string{"resiser", "did you mean resizer?"}},
		"an empty":  {"resizer,", []string{"provisioner, resizer"}},
		"none":      {"", []string{"provisioner, resizer"}},
		"in quotes": {`"resizer"x`, []string{"controllers"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := options.Parse([]string{"--controllers=" + test.value}, func(string) string { return "" }, io.Discard)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want one with %q", err, want)
				}
			}
		})
	}
}

// The defaults are those of external-resizer.
func TestResizerDefaults(t *testing.T) {
	want := options.Resizer{
		Threads: 10, Timeout: 10 * time.Second, ExpandTimeout: 10 * time.Second, ModifyTimeout: 10 * time.Second,
		RetryStart: time.Second, RetryMax: 5 * time.Minute, Resync: 10 * time.Minute,
		HandleVolumeInUseError: true,
	}
	if diff := cmp.Diff(want, parsed(t).Resizer); diff != "" {
		t.Errorf("Resizer (-want +got):\n%s", diff)
	}
}

func TestResizerFlags(t *testing.T) {
	got := parsed(t, "--workers=3", "--resizer-timeout=20s", "--resize-timeout=21s", "--modify-timeout=22s", "--resizer-retry-interval-start=2s", "--resizer-retry-interval-max=3s",
		"--resync-period=0", "--handle-volume-inuse-error=false", "--extra-modify-metadata", "--backfill-expand-secrets").Resizer
	want := options.Resizer{
		Threads: 3, Timeout: 20 * time.Second, ExpandTimeout: 21 * time.Second, ModifyTimeout: 22 * time.Second, RetryStart: 2 * time.Second, RetryMax: 3 * time.Second,
		ExtraModifyMetadata: true, BackfillExpandSecrets: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resizer (-want +got):\n%s", diff)
	}
}

// A flag that both peers have is set once for both; the resizer's own wins.
func TestResizerOverrides(t *testing.T) {
	// expand and modify are the time-outs of the resizer; only the first counts for all.
	type times struct{ expand, modify, start, max time.Duration }
	const second = time.Second
	for name, test := range map[string]struct {
		args      []string
		all, size times
	}{
		"for both": {
			[]string{"--timeout=20s", "--retry-interval-start=2s", "--retry-interval-max=30s"},
			times{20 * second, 0, 2 * second, 30 * second}, times{20 * second, 20 * second, 2 * second, 30 * second},
		},
		"for the resizer": {
			[]string{"--resizer-timeout=20s", "--resizer-retry-interval-start=2s", "--resizer-retry-interval-max=30s"},
			times{10 * second, 0, second, 300 * second}, times{20 * second, 20 * second, 2 * second, 30 * second},
		},
		"for each": {
			[]string{"--resizer-timeout=20s", "--timeout=5s", "--resizer-retry-interval-max=10s", "--retry-interval-max=20s"},
			times{5 * second, 0, second, 20 * second}, times{20 * second, 20 * second, second, 10 * second},
		},
		"for each kind of call": {
			[]string{"--timeout=5s", "--resize-timeout=300s", "--modify-timeout=30s"},
			times{5 * second, 0, second, 300 * second}, times{300 * second, 30 * second, second, 300 * second},
		},
		"for one kind of call": {
			[]string{"--timeout=5s", "--resizer-timeout=7s", "--modify-timeout=30s"},
			times{5 * second, 0, second, 300 * second}, times{7 * second, 30 * second, second, 300 * second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := parsed(t, test.args...)
			if all := (times{got.CSI.Timeout, 0, got.Work.RetryStart, got.Work.RetryMax}); all != test.all {
				t.Errorf("for all: %v, want %v", all, test.all)
			}
			z := got.Resizer
			if size := (times{z.ExpandTimeout, z.ModifyTimeout, z.RetryStart, z.RetryMax}); size != test.size {
				t.Errorf("for the resizer: %v, want %v", size, test.size)
			}
		})
	}
	if work := parsed(t, "--workers=3", "--worker-threads=4").Work; work.Threads != 4 {
		t.Errorf("the provisioner has %d threads: --workers is the resizer's", work.Threads)
	}
}

func TestResizerFlagsAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no workers":           {[]string{"--workers=0"}, "--workers=0"},
		"a negative timeout":   {[]string{"--resizer-timeout=-1s"}, "--resizer-timeout=-1s"},
		"one of expansions":    {[]string{"--resize-timeout=-1s"}, "--resize-timeout=-1s"},
		"one of modifying":     {[]string{"--modify-timeout=-1s"}, "--modify-timeout=-1s"},
		"a negative start":     {[]string{"--resizer-retry-interval-start=-1s"}, "--resizer-retry-interval-start=-1s"},
		"a max below":          {[]string{"--resizer-retry-interval-start=10m"}, "--resizer-retry-interval-start=10m0s"},
		"a max below the rest": {[]string{"--resizer-retry-interval-max=1ms"}, "--resizer-retry-interval-max=1ms"},
		"a negative period":    {[]string{"--resync-period=-1s"}, "--resync-period=-1s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := options.Parse(test.args, func(string) string { return "" }, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestResizerGates(t *testing.T) {
	all := options.Gates{Topology: true, AnnotateFsResize: true, RecoverVolumeExpansionFailure: true, VolumeAttributesClass: true}
	without := func(change func(*options.Gates)) options.Gates {
		gates := all
		change(&gates)
		return gates
	}
	for value, want := range map[string]options.Gates{
		"":                                    all,
		"Topology=true":                       all,
		"AnnotateFsResize=false":              without(func(g *options.Gates) { g.AnnotateFsResize = false }),
		"RecoverVolumeExpansionFailure=false": without(func(g *options.Gates) { g.RecoverVolumeExpansionFailure = false }),
		"VolumeAttributesClass=false, Topology=0":                    without(func(g *options.Gates) { g.VolumeAttributesClass, g.Topology = false, false }),
		"ReleaseLeaderElectionOnExit=false":                          all,
		"AnnotateFsResize=false,AnnotateFsResize=true,Topology=true": all,
	} {
		if got := parsed(t, "--feature-gates="+value).Gates; got != want {
			t.Errorf("--feature-gates=%s: Gates = %+v, want %+v", value, got, want)
		}
	}
	_, err := options.Parse([]string{"--feature-gates=RecoverVolumeExpansionFailures=true"}, func(string) string { return "" }, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "did you mean RecoverVolumeExpansionFailure?") {
		t.Errorf("the error is %v", err)
	}
}

func TestForProgram(t *testing.T) {
	resizer := []string{"--controllers=resizer"}
	for name, test := range map[string]struct {
		program    string
		args, want []string
	}{
		"this program":        {"csi-provisioner", []string{"-timeout=1s", "x"}, []string{"-timeout=1s", "x"}},
		"a path to it":        {"/csi-provisioner", nil, nil},
		"another's name":      {"/bin/my-csi-resizer", []string{"-v=5"}, []string{"-v=5"}},
		"the resizer":         {"csi-resizer", nil, resizer},
		"a path to that":      {"/usr/bin/csi-resizer", nil, resizer},
		"two dashes":          {"csi-resizer", []string{"--timeout=1s", "--v=5"}, append(resizer, "--timeout=1s", "--v=5")},
		"one dash":            {"csi-resizer", []string{"-timeout=1s", "-leader-election"}, append(resizer, "--timeout=1s", "--leader-election")},
		"a value of its own":  {"csi-resizer", []string{"-csi-address", "/run/csi/socket"}, append(resizer, "--csi-address", "/run/csi/socket")},
		"verbosity":           {"csi-resizer", []string{"-v=5"}, append(resizer, "-v=5")},
		"verbosity and value": {"csi-resizer", []string{"-v", "5"}, append(resizer, "-v", "5")},
		"what begins with v":  {"csi-resizer", []string{"-version", "-vmodule=a=1"}, append(resizer, "--version", "--vmodule=a=1")},
		"no flags":            {"csi-resizer", []string{"-", "--", "a-b", ""}, append(resizer, "-", "--", "a-b", "")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, options.ForProgram(test.program, test.args)); diff != "" {
				t.Errorf("the arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForProgramLeavesItsArgument(t *testing.T) {
	args := []string{"-timeout=1s"}
	options.ForProgram("csi-resizer", args)
	if args[0] != "-timeout=1s" {
		t.Errorf("the argument has become %q", args)
	}
}

// A manifest of external-resizer, as it is.
func TestStartedAsResizer(t *testing.T) {
	config := started(t, "/csi-resizer", "-v=5", "-csi-address=/csi/csi.sock", "--timeout=15s", "-leader-election", "-workers", "7",
		"--handle-volume-inuse-error=false", "-feature-gates=RecoverVolumeExpansionFailure=false", "--http-endpoint=:8080", "-kube-api-qps=5", "--automaxprocs")
	if want := (options.Controllers{Resizer: true}); config.Controllers != want {
		t.Errorf("Controllers = %+v, want %+v", config.Controllers, want)
	}
	if config.CSI.Address != "/csi/csi.sock" || config.Resizer.Timeout != 15*time.Second || !config.LeaderElection.Enabled ||
		config.Resizer.Threads != 7 || config.Resizer.HandleVolumeInUseError || config.Gates.RecoverVolumeExpansionFailure || config.Logging.Verbosity != 5 {
		t.Errorf("the configuration is %+v", config)
	}
	if verbosity := started(t, "csi-resizer", "-v", "4").Logging.Verbosity; verbosity != 4 {
		t.Errorf("the verbosity is %d, want 4", verbosity)
	}
}
