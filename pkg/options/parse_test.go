package options

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// nothing is an environment without variables.
func nothing(string) string { return "" }

// parse parses arguments that are right.
func parse(t *testing.T, args ...string) Config {
	t.Helper()
	c, err := Parse(args, nothing, io.Discard)
	if err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	return c
}

func TestDefaultConfig(t *testing.T) {
	want := Config{
		Controllers: Controllers{Provisioner: true, Resizer: true},
		CSI:         CSI{Address: "/run/csi/socket", Timeout: 10 * time.Second},
		Kube:        Kube{Burst: 10},
		Volumes:     Volumes{VolumeNamePrefix: "pvc", VolumeNameUUIDLength: -1, ImmediateTopology: true, PreventVolumeModeConversion: true},
		Journal:     Journal{Mode: "auto", MaxAge: 24 * time.Hour},
		Protection:  Protection{Threads: 1, Sweep: 5 * time.Minute},
		Capacity:    Capacity{PollInterval: time.Minute, OwnerLevel: 1, Threads: 1, Burst: 5},
		Node:        NodeDeployment{Immediate: true, BaseDelay: 20 * time.Second, MaxDelay: time.Minute},
		Resizer: Resizer{
			Threads: 10, Timeout: 10 * time.Second, ExpandTimeout: 10 * time.Second, ModifyTimeout: 10 * time.Second, RetryStart: time.Second, RetryMax: 5 * time.Minute,
			Resync: 10 * time.Minute, HandleVolumeInUseError: true,
		},
		Work:           Work{Threads: 100, RetryStart: time.Second, RetryMax: 5 * time.Minute},
		LeaderElection: LeaderElection{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 5 * time.Second},
		HTTP:           HTTP{MetricsPath: "/metrics"},
		Gates:          Gates{Topology: true, AnnotateFsResize: true, RecoverVolumeExpansionFailure: true, VolumeAttributesClass: true},
		Logging:        logsapi.NewLoggingConfiguration(),
	}
	if diff := cmp.Diff(want, parse(t)); diff != "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
}

// Each flag must arrive where it belongs.
func TestEveryFlagIsUsed(t *testing.T) {
	got := parse(t,
		"--version", "--csi-address=/csi.sock", "--timeout=11s", "--master=m", "--kubeconfig=k", "--kube-api-qps=7.5", "--kube-api-burst=8",
		"--volume-name-prefix=vol", "--volume-name-uuid-length=16", "--default-fstype=xfs", "--extra-create-metadata",
		"--strict-topology", "--immediate-topology=false", "--controller-publish-readonly", "--prevent-volume-mode-conversion=false", "--cloning-protection-threads=4", "--snapshot-orphan-sweep-interval=9s",
		"--worker-threads=3", "--retry-interval-start=2s", "--retry-interval-max=3s",
		"--leader-election", "--leader-election-namespace=ns", "--leader-election-lease-duration=30s",
		"--leader-election-renew-deadline=20s", "--leader-election-retry-period=10s",
		"--provisioning-journal=required", "--provisioning-journal-max-age=8h",
		"--capacity-for-immediate-binding", "--capacity-poll-interval=7s", "--capacity-ownerref-level=2", "--capacity-threads=5",
		"--node-deployment-immediate-binding=false", "--node-deployment-base-delay=2s", "--node-deployment-max-delay=3s",
		"--kube-api-capacity-qps=2.5", "--kube-api-capacity-burst=6",
		"--http-endpoint=:1", "--metrics-path=/m", "--enable-pprof", "--feature-gates=Topology=false",
		"--controllers=resizer", "--workers=4", "--resizer-timeout=12s", "--resize-timeout=13s", "--modify-timeout=14s", "--resizer-retry-interval-start=4s",
		"--resizer-retry-interval-max=5s", "--resync-period=6s", "--handle-volume-inuse-error=false", "--extra-modify-metadata",
		"--backfill-expand-secrets", "--leader-election-labels=a:b", "--logging-format=json",
	)
	got.Logging = nil
	want := Config{
		ShowVersion: true,
		Controllers: Controllers{Resizer: true},
		CSI:         CSI{Address: "/csi.sock", Timeout: 11 * time.Second},
		Kube:        Kube{Master: "m", Kubeconfig: "k", QPS: 7.5, Burst: 8},
		Volumes: Volumes{
			VolumeNamePrefix: "vol", VolumeNameUUIDLength: 16, DefaultFSType: "xfs", ExtraCreateMetadata: true, StrictTopology: true, ControllerPublishReadonly: true,
		},
		Journal:    Journal{Mode: "required", MaxAge: 8 * time.Hour},
		Capacity:   Capacity{Immediate: true, PollInterval: 7 * time.Second, OwnerLevel: 2, Threads: 5, QPS: 2.5, Burst: 6},
		Protection: Protection{Threads: 4, Sweep: 9 * time.Second},
		Node:       NodeDeployment{BaseDelay: 2 * time.Second, MaxDelay: 3 * time.Second},
		Resizer: Resizer{
			Threads: 4, Timeout: 12 * time.Second, ExpandTimeout: 13 * time.Second, ModifyTimeout: 14 * time.Second, RetryStart: 4 * time.Second, RetryMax: 5 * time.Second, Resync: 6 * time.Second,
			ExtraModifyMetadata: true, BackfillExpandSecrets: true,
		},
		Work: Work{Threads: 3, RetryStart: 2 * time.Second, RetryMax: 3 * time.Second},
		LeaderElection: LeaderElection{
			Enabled: true, Namespace: "ns", LeaseDuration: 30 * time.Second, RenewDeadline: 20 * time.Second, RetryPeriod: 10 * time.Second,
			Labels: map[string]string{"a": "b"},
		},
		HTTP:  HTTP{Endpoint: ":1", MetricsPath: "/m", Pprof: true},
		Gates: Gates{AnnotateFsResize: true, RecoverVolumeExpansionFailure: true, VolumeAttributesClass: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	cases := map[string]struct {
		environment           map[string]string
		args                  []string
		kubeconfig, namespace string
	}{
		"nothing":                {nil, nil, "", ""},
		"flags":                  {nil, []string{"--kubeconfig=flag", "--leader-election-namespace=flag"}, "flag", "flag"},
		"variables":              {map[string]string{"KUBECONFIG": "env", "POD_NAMESPACE": "env"}, nil, "env", "env"},
		"KUBECONFIG wins":        {map[string]string{"KUBECONFIG": "env"}, []string{"--kubeconfig=flag"}, "env", ""},
		"POD_NAMESPACE does not": {map[string]string{"POD_NAMESPACE": "env"}, []string{"--leader-election-namespace=flag"}, "", "flag"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config, err := Parse(c.args, func(key string) string { return c.environment[key] }, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if config.Kube.Kubeconfig != c.kubeconfig || config.LeaderElection.Namespace != c.namespace {
				t.Errorf("kubeconfig %q, namespace %q, want %q, %q", config.Kube.Kubeconfig, config.LeaderElection.Namespace, c.kubeconfig, c.namespace)
			}
		})
	}
}

func TestMetricsAddress(t *testing.T) {
	if got := parse(t, "--metrics-address=:1").HTTP.Endpoint; got != ":1" {
		t.Errorf("--metrics-address=:1 sets the endpoint to %q", got)
	}
}

func TestAutomaxprocs(t *testing.T) {
	for _, arg := range []string{"--automaxprocs", "--automaxprocs=true", "--automaxprocs=false", "--automaxprocs=1"} {
		if _, err := Parse([]string{arg}, nothing, io.Discard); err != nil {
			t.Errorf("%s: %v", arg, err)
		}
	}
	if _, err := Parse([]string{"--automaxprocs=maybe"}, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "automaxprocs") {
		t.Errorf("--automaxprocs=maybe: error %v", err)
	}
}

func TestWrongArguments(t *testing.T) {
	cases := map[string]struct {
		args, want []string
	}{
		"unknown flag":        {[]string{"--worker-thread=1"}, []string{"--worker-thread", "did you mean --worker-threads?", "--help"}},
		"unlike any":          {[]string{"--xyzzyxyzzy"}, []string{"--xyzzyxyzzy", "--help"}},
		"unknown short flag":  {[]string{"-q"}, []string{"'q'"}},
		"value apart":         {[]string{"--leader-election", "true"}, []string{`unexpected argument "true"`, "--name=value"}},
		"no duration":         {[]string{"--timeout=ten"}, []string{"--timeout"}},
		"negative threads":    {[]string{"--worker-threads=-1"}, []string{"--worker-threads"}},
		"unknown gate":        {[]string{"--feature-gates=Topologie=true"}, []string{`unknown feature gate "Topologie"`, "did you mean Topology?", "ReleaseLeaderElectionOnExit, Topology"}},
		"gate without value":  {[]string{"--feature-gates=Topology"}, []string{"feature gate Topology", "Topology=true or Topology=false"}},
		"gate maybe":          {[]string{"--feature-gates=Topology=maybe"}, []string{`"maybe"`, "Topology=true or Topology=false"}},
		"label without colon": {[]string{"--leader-election-labels=a=b"}, []string{`malformed label "a=b"`, "key:value"}},
		"label with two":      {[]string{"--leader-election-labels=a:b:c"}, []string{`malformed label "a:b:c"`}},
		"no label":            {[]string{"--leader-election-labels=a:b,"}, []string{`malformed label ""`}},
		"two endpoints":       {[]string{"--metrics-address=:1", "--http-endpoint=:2"}, []string{"--metrics-address", "--http-endpoint"}},
		"unknown controller":  {[]string{"--controllers=resize"}, []string{`unknown controller "resize"`, "did you mean resizer?", "provisioner, resizer"}},
		"no controller":       {[]string{"--controllers="}, []string{"--controllers", "at least one", "provisioner, resizer"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.args, nothing, io.Discard)
			if err == nil {
				t.Fatalf("Parse(%q) has no error", c.args)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q lacks %q", err, want)
				}
			}
		})
	}
	if _, err := Parse([]string{"--xyzzyxyzzy"}, nothing, io.Discard); strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a flag that is unlike any is answered with %q", err)
	}
}

// wrongs are the flags with values that can't be used, each with the fix.
func wrongs() map[string]string {
	return map[string]string{
		"--timeout=0s":                        "must be longer than 0",
		"--retry-interval-start=0s":           "must be longer than 0",
		"--csi-address=":                      "must be the path of the driver's socket",
		"--worker-threads=0":                  "must be at least 1",
		"--volume-name-prefix=":               "must not be empty",
		"--volume-name-uuid-length=7":         "must be -1, or from 8 to 32",
		"--kube-api-qps=-1":                   "must not be negative",
		"--metrics-path=metrics":              "must begin with a slash",
		"--workers=0":                         "must be at least 1",
		"--provisioning-journal=of":           "did you mean off?",
		"--provisioning-journal-max-age=-1h":  "must not be negative",
		"--capacity-poll-interval=0s":         "must be longer than 0",
		"--capacity-ownerref-level=-2":        "must be at least -1, which is no owner",
		"--capacity-threads=0":                "must be at least 1",
		"--kube-api-capacity-qps=-1":          "must not be negative",
		"--resizer-timeout=-1s":               "must be longer than 0",
		"--resize-timeout=-1s":                "must be longer than 0",
		"--modify-timeout=-1s":                "must be longer than 0",
		"--resizer-retry-interval-max=-1ms":   "must not be shorter than --resizer-retry-interval-start",
		"--resync-period=-1s":                 "must not be negative",
		"--leader-election-retry-period=0s":   "must be longer than 0",
		"--leader-election-renew-deadline=0s": "must be longer than 1.2 times --leader-election-retry-period=",
		"--leader-election-lease-duration=0s": "must be longer than --leader-election-renew-deadline=",
	}
}

func TestEachWrongValueIsNamed(t *testing.T) {
	cases := wrongs()
	for arg, fix := range map[string]string{
		"--retry-interval-max=999ms":           "must not be shorter than --retry-interval-start=1s",
		"--volume-name-uuid-length=33":         "must be -1, or from 8 to 32",
		"--volume-name-uuid-length=-2":         "must be -1, or from 8 to 32",
		"--volume-name-uuid-length=0":          "must be -1, or from 8 to 32",
		"--timeout=-1s":                        "must be longer than 0",
		"--resizer-retry-interval-max=999ms":   "must not be shorter than --resizer-retry-interval-start=1s",
		"--resizer-retry-interval-start=-1s":   "must not be shorter",
		"--leader-election-renew-deadline=6s":  "must be longer than 1.2 times --leader-election-retry-period=5s",
		"--leader-election-lease-duration=10s": "must be longer than --leader-election-renew-deadline=10s",
	} {
		cases[arg] = fix
	}
	for arg, fix := range cases {
		_, err := Parse([]string{arg}, nothing, io.Discard)
		flag, _, _ := strings.Cut(arg, "=")
		if err == nil || !strings.Contains(err.Error(), fix) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: error %v, want one with the flag and %q", arg, err, fix)
		}
	}
	if _, err := Parse([]string{"--kube-api-qps=1", "--kube-api-burst=0"}, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "--kube-api-burst=0: must be at least 1") {
		t.Errorf("--kube-api-burst=0: error %v", err)
	}
}

// Whoever writes a manifest must not be told of one mistake at a time.
func TestAllWrongValuesAreNamedAtOnce(t *testing.T) {
	var args []string
	for arg := range wrongs() {
		args = append(args, arg)
	}
	_, err := Parse(args, nothing, io.Discard)
	if err == nil {
		t.Fatal("Parse has no error")
	}
	for arg := range wrongs() {
		if flag, _, _ := strings.Cut(arg, "="); !strings.Contains(err.Error(), flag+"=") {
			t.Errorf("the error does not name %s:\n%v", flag, err)
		}
	}
}

// The values at the edge of what can be used.
func TestEdges(t *testing.T) {
	for _, args := range [][]string{
		{"--retry-interval-max=1s"}, {"--volume-name-uuid-length=8"}, {"--volume-name-uuid-length=32"}, {"--worker-threads=1"},
		{"--kube-api-burst=0"}, {"--resync-period=0s"}, {"--workers=1"}, {"--capacity-ownerref-level=-1"}, {"--kube-api-capacity-burst=0"},
		{"--leader-election-renew-deadline=6001ms"}, {"--leader-election-lease-duration=10001ms"},
	} {
		if _, err := Parse(args, nothing, io.Discard); err != nil {
			t.Errorf("Parse(%q): %v", args, err)
		}
	}
	if got := parse(t, "--worker-threads=18446744073709551615").Work.Threads; got < 1 {
		t.Errorf("the largest number of threads becomes %d", got)
	}
}

// The resizer has settings of its own only where they are given.
func TestResizerTakesTheCommonSettings(t *testing.T) {
	got := parse(t, "--timeout=20s", "--retry-interval-start=2s", "--retry-interval-max=3s").Resizer
	if got.Timeout != 20*time.Second || got.RetryStart != 2*time.Second || got.RetryMax != 3*time.Second {
		t.Errorf("the resizer is set to %+v", got)
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h"} {
		var output strings.Builder
		_, err := Parse([]string{arg}, nothing, &output)
		if !errors.Is(err, ErrHelp) {
			t.Errorf("%s: error %v, want ErrHelp", arg, err)
		}
		for _, want := range []string{"csi-provisioner", "--csi-address", "--worker-threads uint", "(default 100)"} {
			if !strings.Contains(output.String(), want) {
				t.Errorf("%s: the help lacks %q", arg, want)
			}
		}
	}
	// For a mistake, the mistake is what must be seen.
	var output strings.Builder
	if _, err := Parse([]string{"--worker-thread=1"}, nothing, &output); errors.Is(err, ErrHelp) || output.String() != "" {
		t.Errorf("a mistake is answered with %v and the output %q", err, output.String())
	}
}

func TestForProgram(t *testing.T) {
	cases := map[string]struct {
		program    string
		args, want []string
	}{
		"provisioner": {"/csi-provisioner", []string{"-timeout=1s"}, []string{"-timeout=1s"}},
		"resizer": {
			"/bin/csi-resizer", []string{"-timeout=1s", "--workers=2", "-v=5", "-v", "5", "-leader-election", "x"},
			[]string{"--controllers=resizer", "--timeout=1s", "--workers=2", "-v=5", "-v", "5", "--leader-election", "x"},
		},
		"resizer, vmodule": {"csi-resizer", []string{"-vmodule=a=1"}, []string{"--controllers=resizer", "--vmodule=a=1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := append([]string(nil), c.args...)
			if diff := cmp.Diff(c.want, ForProgram(c.program, c.args)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, c.args); diff != "" {
				t.Errorf("the argument was changed (-want +got):\n%s", diff)
			}
		})
	}
}
