package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/pkg/explain"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/sidecar"
)

// explainOptions are what explanations are asked for.
type explainOptions struct {
	files    []string
	settings explain.Settings
}

const explainHelp = `csi-provisioner explain shows what would become of claims, without a cluster and
without a driver: the secrets that the templates of their classes resolve to, the
CreateVolumeRequest and the PersistentVolume; or why there would be none.

Usage:
  csi-provisioner explain -f FILE... [-- FLAGS OF THE SIDECAR]
  kubectl get sc,pvc,csinodes -A -o yaml | csi-provisioner explain -f -

The files are manifests: PersistentVolumeClaims, and what they refer to, which may
be StorageClasses, VolumeAttributesClasses, Nodes and CSINodes, VolumeSnapshots with
their contents, claims and PersistentVolumes to be cloned, ReferenceGrants. All others
are left out. The flags of the sidecar are those of its deployment, such as
--strict-topology.

Exit codes:
  0  every claim that is for a driver gets a volume
  1  a file can't be read
  2  the command line is wrong
  3  a claim gets no volume

Flags:
`

// parseExplain returns what the arguments ask for. Help is printed to output. The
// error names what is wrong.
func parseExplain(args []string, environment func(string) string, output io.Writer) (explainOptions, error) {
	own, rest := args, []string(nil)
	if at := slices.Index(args, "--"); at >= 0 {
		own, rest = args[:at], args[at+1:]
	}
	var o explainOptions
	var without []string
	flags := pflag.NewFlagSet("csi-provisioner explain", pflag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "File with manifests, as YAML or JSON; \"-\" is the standard input. May be given more than once.")
	flags.StringVar(&o.settings.Driver, "driver", "", "Name of the CSI driver; by default that of each claim's class.")
	flags.StringVar(&o.settings.Node, "node", "", "Node that is selected for claims of classes with WaitForFirstConsumer; by default the first one with the driver.")
	flags.StringSliceVar(&without, "without", nil, "Capabilities that the driver does not report, such as MODIFY_VOLUME; it is taken to report all others.")
	flags.Usage = func() { _, _ = fmt.Fprint(output, explainHelp, flags.FlagUsages()) }
	if err := flags.Parse(own); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: csi-provisioner explain --help lists all flags", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: files are given as -f FILE", flags.Arg(0))
	}
	if len(o.files) == 0 {
		return o, errors.New("no manifests: give their files as -f FILE")
	}
	config, err := options.Parse(options.ForProgram("csi-provisioner", rest), environment, output)
	if err != nil {
		return o, fmt.Errorf("the flags of the sidecar: %w", err)
	}
	o.settings.Options = sidecar.PlanOptions(config, config.Gates.VolumeAttributesClass)
	o.settings.Capabilities, err = capability.AllBut(without)
	return o, err
}
