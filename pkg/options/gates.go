package options

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Gate is a feature gate, as it is described to users.
type Gate struct {
	Name string
	// Stage is Kubernetes' word for how far the feature is: Alpha, Beta or GA.
	Stage string
	// Default tells whether it is on where it is not set.
	Default bool
	Meaning string
}

// The stages of a feature, and the gates that turn on or off all of one stage.
const (
	stageAlpha, stageBeta, stageStable = "Alpha", "Beta", "GA"
	allOfStage                         = "All" // and the stage
)

// Names of gates.
const (
	gateAnnotate = "AnnotateFsResize"
	gateCross    = "CrossNamespaceVolumeDataSource"
	gateLogging  = "LoggingAlphaOptions"
	gateRecover  = "RecoverVolumeExpansionFailure"
	// gateRelease asks to give the lease back at the end, which is always done.
	gateRelease  = "ReleaseLeaderElectionOnExit"
	gateTopology = "Topology"
	gateModify   = "VolumeAttributesClass"
	// gateHonour is what older manifests ask for; it is always done.
	gateHonour = "HonorPVReclaimPolicy"
)

// FeatureGates returns the gates that there are, by name.
func FeatureGates() []Gate {
	return []Gate{
		{gateAnnotate, stageBeta, true, "Note on a volume, in `volume.alpha.kubernetes.io/pre-resize-capacity`, its size before its expansion, until its file system is expanded, too."},
		{gateCross, stageAlpha, false, "Let claims name, in spec.dataSourceRef, a data source of another namespace, if a ReferenceGrant of that allows it (KEP-3294)."},
		{gateHonour, stageStable, true, "A volume that is deleted before its claim is deleted at the driver, too. It is always on."},
		{gateLogging, stageAlpha, false, "Let `--log-text-split-stream`, `--log-json-split-stream` and the sizes of their buffers be used."},
		{gateRecover, stageStable, true, "Let a claim ask for less after an expansion has failed (KEP-1790)."},
		{gateRelease, stageAlpha, true, "Give the lease back at the end. It is always done, whatever the gate says."},
		{gateTopology, stageStable, true, "Use the driver's topology, if it has that capability."},
		{gateModify, stageStable, true, "Make volumes with, and modify them by, VolumeAttributesClasses (KEP-3751)."},
	}
}

// settle returns the gates as they are set.
func (g gates) settle() Gates {
	return Gates{
		Topology:                       g.on(gateTopology),
		CrossNamespaceVolumeDataSource: g.on(gateCross),
		AnnotateFsResize:               g.on(gateAnnotate),
		RecoverVolumeExpansionFailure:  g.on(gateRecover),
		VolumeAttributesClass:          g.on(gateModify),
		LoggingAlphaOptions:            g.on(gateLogging),
	}
}

func gateNames() []string {
	var all []string
	for _, gate := range FeatureGates() {
		all = append(all, gate.Name)
	}
	return all
}

// gates is the value of --feature-gates: by name, what was asked for.
type gates map[string]bool

func (g *gates) Type() string { return "mapStringBool" }

func (g *gates) String() string { return joinPairs(*g, "=") }

func (g *gates) Set(value string) error {
	known := append(gateNames(), allOfStage+stageAlpha, allOfStage+stageBeta)
	for pair := range strings.SplitSeq(value, ",") {
		if pair == "" {
			continue
		}
		name, setting, _ := strings.Cut(strings.TrimSpace(pair), "=")
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown feature gate %q%s: known are %s", name, hint(name, known, ""), strings.Join(known, ", "))
		}
		on, err := strconv.ParseBool(strings.TrimSpace(setting))
		if err != nil {
			return fmt.Errorf("feature gate %s is set to %q: use %s=true or %s=false", name, setting, name, name)
		}
		if name == gateHonour && !on {
			return fmt.Errorf("feature gate %s can't be turned off any more: remove it, and use the policy Retain for volumes to be kept", name)
		}
		if *g == nil {
			*g = gates{}
		}
		(*g)[name] = on
	}
	return nil
}

// on tells whether a gate is on: as it is set, as all of its stage are, or by
// default.
func (g gates) on(name string) bool {
	all := FeatureGates()
	gate := all[slices.IndexFunc(all, func(gate Gate) bool { return gate.Name == name })]
	for _, setting := range []string{name, allOfStage + gate.Stage} {
		if on, set := g[setting]; set {
			return on
		}
	}
	return gate.Default
}
