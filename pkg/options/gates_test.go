package options

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func defaultGates(changes ...func(*Gates)) Gates {
	gates := Gates{Topology: true, AnnotateFsResize: true, RecoverVolumeExpansionFailure: true, VolumeAttributesClass: true}
	for _, change := range changes {
		change(&gates)
	}
	return gates
}

func TestFeatureGates(t *testing.T) {
	noTopology := defaultGates(func(g *Gates) { g.Topology = false })
	cases := map[string]struct {
		args []string
		want Gates
	}{
		"default":       {nil, defaultGates()},
		"empty":         {[]string{"--feature-gates="}, defaultGates()},
		"off":           {[]string{"--feature-gates=Topology=false"}, noTopology},
		"on":            {[]string{"--feature-gates=Topology=true"}, defaultGates()},
		"several":       {[]string{"--feature-gates=Topology=false, ReleaseLeaderElectionOnExit=true,,AnnotateFsResize=false"}, defaultGates(func(g *Gates) { g.Topology, g.AnnotateFsResize = false, false })},
		"several times": {[]string{"--feature-gates=Topology=false", "--feature-gates=VolumeAttributesClass=false"}, defaultGates(func(g *Gates) { g.Topology, g.VolumeAttributesClass = false, false })},
		"the last wins": {[]string{"--feature-gates=Topology=false", "--feature-gates=Topology=true"}, defaultGates()},
		"recovery":      {[]string{"--feature-gates=RecoverVolumeExpansionFailure=0"}, defaultGates(func(g *Gates) { g.RecoverVolumeExpansionFailure = false })},
		"namespaces":    {[]string{"--feature-gates=CrossNamespaceVolumeDataSource=true"}, defaultGates(func(g *Gates) { g.CrossNamespaceVolumeDataSource = true })},
		"alpha logging": {[]string{"--feature-gates=LoggingAlphaOptions=true"}, defaultGates(func(g *Gates) { g.LoggingAlphaOptions = true })},
		// One that is set itself wins over all of its stage.
		"all beta":       {[]string{"--feature-gates=AllBeta=false"}, defaultGates(func(g *Gates) { g.AnnotateFsResize = false })},
		"all beta but":   {[]string{"--feature-gates=AllBeta=false,AnnotateFsResize=true"}, defaultGates()},
		"always on":      {[]string{"--feature-gates=HonorPVReclaimPolicy=true"}, defaultGates()},
		"alpha but that": {[]string{"--feature-gates=LoggingAlphaOptions=false,AllAlpha=true"}, allAlpha(func(g *Gates) { g.LoggingAlphaOptions = false })},
		"all alpha":      {[]string{"--feature-gates=AllAlpha=true"}, allAlpha()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parse(t, c.args...).Gates); diff != "" {
				t.Errorf("gates (-want +got):\n%s", diff)
			}
		})
	}
}

func allAlpha(changes ...func(*Gates)) Gates {
	return defaultGates(append([]func(*Gates){func(g *Gates) { g.LoggingAlphaOptions, g.CrossNamespaceVolumeDataSource = true, true }}, changes...)...)
}

func TestGateThatIsAlwaysOn(t *testing.T) {
	_, err := Parse([]string{"--feature-gates=HonorPVReclaimPolicy=false"}, nothing, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "can't be turned off any more") || !strings.Contains(err.Error(), "Retain") {
		t.Errorf("the error is %v", err)
	}
}

func TestGatesAreDescribed(t *testing.T) {
	if names := gateNames(); !slices.IsSorted(names) {
		t.Errorf("the gates are not sorted: %q", names)
	}
	for _, gate := range FeatureGates() {
		if gate.Meaning == "" || !slices.Contains([]string{stageAlpha, stageBeta, stageStable}, gate.Stage) {
			t.Errorf("gate %+v is not described", gate)
		}
	}
}

// Flags of older sidecars, which are still found in manifests, are refused with
// what to do instead.
func TestRetiredFlags(t *testing.T) {
	for arg, want := range map[string]string{
		"--connection-timeout=1s":     "the flag --connection-timeout is gone: remove it",
		"--provisioner=x":             "asked for its name",
		"--enable-leader-election":    "use --leader-election",
		"--leader-election-type=x":    "remove it",
		"--csiTimeout=1s":             "use --timeout",
		"--logtostderr":               "goes to standard error",
		"--skip-headers":              "--logging-format=json",
		"--skip_headers":              "--logging-format=json",
		"--stderrthreshold=2":         "goes to standard error",
		"--log_file_max_size=1":       "goes to standard error",
		"--log-backtrace-at=a.go:1":   "--vmodule",
		"--leader-election-types=oh!": "did you mean",
	} {
		_, err := Parse([]string{arg}, nothing, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", arg, err, want)
		}
	}
	all := Flags()
	for _, flag := range RetiredFlags() {
		if all.Lookup(flag.Name) != nil {
			t.Errorf("--%s is retired, and there", flag.Name)
		}
		if flag.Fix == "" {
			t.Errorf("--%s has no fix", flag.Name)
		}
	}
}
