package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

// parsed is what the command line says.
type parsed struct {
	options   driver.Options
	logFormat string
	verbosity int
}

// texts are the flags that need more than pflag to be read.
type texts struct {
	topologyKey     string
	topologies      []string
	capacity        string
	maxVolumeSize   string
	credentialsFile string
}

func parse(args []string) (parsed, error) {
	var p parsed
	var t texts
	flags := pflag.NewFlagSet("driver", pflag.ContinueOnError)
	p.addTo(flags)
	t.addTo(flags)
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if flags.NArg() > 0 {
		return p, fmt.Errorf("there is no command %q: want cleanup or nothing", flags.Arg(0))
	}
	if p.logFormat != "text" && p.logFormat != "json" {
		return p, fmt.Errorf("--log-format is %q: want text or json", p.logFormat)
	}
	return p, t.into(&p.options)
}

func (p *parsed) addTo(flags *pflag.FlagSet) {
	o := &p.options
	flags.StringVar(&o.Endpoint, "endpoint", "", "unix socket of the CSI services")
	flags.StringVar(&o.StateDir, "state-dir", "", "directory of volumes, calls and salted hashes")
	flags.StringVar(&o.ControlSocket, "control-socket", "", "unix socket of the control API")
	flags.StringVar(&o.RegistrationDir, "registration-dir", "", "the kubelet's plugins_registry")
	flags.StringVar(&o.Name, "name", driver.DefaultName, "name of the driver")
	flags.StringVar(&o.NodeID, "node-id", driver.DefaultNodeID, "ID of this node")
	flags.StringSliceVar(&o.Nodes, "nodes", nil, "nodes that ControllerPublishVolume knows (default the node-id)")
	flags.StringSliceVar(&o.Services, "services", []string{driver.Controller, driver.Node}, "services beside identity")
	flags.StringVar(&o.Backend, "backend", backend.Auto, "loop, directory or auto")
	flags.StringToStringVar(&o.Segments, "segments", nil, "topology of the node (default topology-key=node-id)")
	flags.StringSliceVar(&o.Capabilities.Plugin, "plugin-capabilities", nil, `names of the CSI specification, "*" is the default`)
	flags.StringSliceVar(&o.Capabilities.Controller, "controller-capabilities", nil, "the same of the controller service")
	flags.StringSliceVar(&o.Capabilities.Node, "node-capabilities", nil, "the same of the node service")
	flags.Int64Var(&o.MaxVolumesPerNode, "max-volumes-per-node", 0, "more are ResourceExhausted; 0 is no limit")
	flags.StringSliceVar(&o.MutableParameters, "mutable-parameters", nil, "what ControllerModifyVolume takes (default all)")
	flags.StringVar(&o.InFlight, "in-flight", driver.Abort, "abort or wait: a second call for a volume")
	flags.BoolVar(&o.RequireExpandCredentials, "require-expand-credentials", false, "NodeExpandVolume needs secrets")
	flags.StringVar(&p.logFormat, "log-format", "text", "text or json")
	flags.IntVarP(&p.verbosity, "v", "v", 0, "1 logs each call, 0 the failed ones")
}

func (t *texts) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&t.topologyKey, "topology-key", "", "key of the node's segment (default topology.NAME/node)")
	flags.StringArrayVar(&t.topologies, "topologies", nil, "where volumes can be, K=V,... each (default anywhere)")
	flags.StringVar(&t.capacity, "capacity", "0", "what each topology can hold, a quantity; 0 is no limit")
	flags.StringVar(&t.maxVolumeSize, "max-volume-size", "0", "larger volumes are OutOfRange, a quantity; 0 is no limit")
	flags.StringVar(&t.credentialsFile, "expand-credentials-file", "", "JSON object of the secrets that NodeExpandVolume needs")
}

func (t *texts) into(o *driver.Options) error {
	if t.topologyKey != "" && len(o.Segments) == 0 {
		o.Segments = map[string]string{t.topologyKey: o.NodeID}
	}
	for _, text := range t.topologies {
		topology, err := segments(text)
		if err != nil {
			return fmt.Errorf("--topologies: %w", err)
		}
		o.Topologies = append(o.Topologies, topology)
	}
	var err error
	if o.CapacityBytes, err = bytes("capacity", t.capacity); err != nil {
		return err
	}
	if o.MaxVolumeBytes, err = bytes("max-volume-size", t.maxVolumeSize); err != nil {
		return err
	}
	if t.credentialsFile == "" {
		return nil
	}
	content, err := os.ReadFile(t.credentialsFile)
	if err != nil {
		return fmt.Errorf("--expand-credentials-file: %w", err)
	}
	if err := json.Unmarshal(content, &o.ExpandCredentials); err != nil {
		// The error of the decoder may show a part of the file.
		return fmt.Errorf("--expand-credentials-file: %s is not a JSON object of strings", t.credentialsFile)
	}
	return nil
}

func segments(text string) (map[string]string, error) {
	result := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not KEY=VALUE", pair)
		}
		result[key] = value
	}
	return result, nil
}

func bytes(flag, text string) (int64, error) {
	quantity, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("--%s %q: %w", flag, text, err)
	}
	return quantity.Value(), nil
}
