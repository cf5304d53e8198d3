package options

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// raw holds the values of flags that become something else in the Config.
type raw struct {
	threads        uint
	qps            float64
	metricsAddress string
	capacity       rawCapacity
	protectors     uint
	controllers    []string
	workers        int
	gates          gates
	labels         labels
}

// Flags returns the flags that [Parse] knows, to describe them. Setting them has no
// effect.
func Flags() *pflag.FlagSet { return flagSet(new(Config), new(raw)) }

// flagSet returns the flag set that fills the Config; what is filled is not
// validated.
func flagSet(c *Config, r *raw) *pflag.FlagSet {
	fs := pflag.NewFlagSet("csi-provisioner", pflag.ContinueOnError)
	fs.SortFlags = true
	fs.BoolVar(&c.ShowVersion, "version", false, "Print the version and exit.")
	addControllers(fs, r)
	addConnections(fs, c, r)
	addVolumes(fs, c)
	addJournal(fs, c)
	addCapacity(fs, c, &r.capacity)
	addProtection(fs, c, r)
	addNode(fs, c)
	addWork(fs, c, r)
	addResizer(fs, c, r)
	addLeaderElection(fs, c, r)
	addHTTP(fs, c, r)
	fs.Var(&r.gates, "feature-gates", "Features to turn on or off, as Name=true,Name=false. Known are: "+strings.Join(gateNames(), ", ")+".")
	addLogging(fs, c)
	return fs
}

func addConnections(fs *pflag.FlagSet, c *Config, r *raw) {
	fs.StringVar(&c.CSI.Address, "csi-address", "/run/csi/socket", "Path of the CSI driver's socket.")
	fs.DurationVar(&c.CSI.Timeout, "timeout", 10*time.Second, "Timeout of each call to the CSI driver.")
	fs.StringVar(&c.Kube.Master, "master", "", "URL of the API server; only needed outside of a cluster and without a kubeconfig file.")
	fs.StringVar(&c.Kube.Kubeconfig, "kubeconfig", "", "Path of a kubeconfig file; only needed outside of a cluster. The environment variable KUBECONFIG takes precedence.")
	fs.Float64Var(&r.qps, "kube-api-qps", 0, "Requests a second to the API server, on average; 0 for no limit, as the API server has its own (API Priority and Fairness).")
	fs.IntVar(&c.Kube.Burst, "kube-api-burst", 10, "Requests to the API server that may come at once; only with --kube-api-qps.")
}

func addVolumes(fs *pflag.FlagSet, c *Config) {
	v := &c.Volumes
	fs.StringVar(&v.VolumeNamePrefix, "volume-name-prefix", "pvc", "First part of the names of volumes.")
	fs.IntVar(&v.VolumeNameUUIDLength, "volume-name-uuid-length", -1, "Number of characters of the claim's UID, without dashes, in the names of volumes; -1 for the UID as it is.")
	fs.StringVar(&v.DefaultFSType, "default-fstype", "", "File system of volumes whose class names none.")
	fs.BoolVar(&v.ExtraCreateMetadata, "extra-create-metadata", false, "Add the names of claim and volume to the parameters of CreateVolume.")
	fs.BoolVar(&v.StrictTopology, "strict-topology", false, "For classes with WaitForFirstConsumer, ask for the topology of the selected node alone.")
	fs.BoolVar(&v.ImmediateTopology, "immediate-topology", true, "For classes that bind immediately, ask for the topologies of all nodes; otherwise for none, unless the class allows some only.")
	fs.BoolVar(&v.ControllerPublishReadonly, "controller-publish-readonly", false, "Mark volumes read-only whose only access mode is ReadOnlyMany.")
	fs.BoolVar(&v.PreventVolumeModeConversion, "prevent-volume-mode-conversion", true, "Refuse to restore a snapshot to a volume of another mode (Block, Filesystem), unless its VolumeSnapshotContent allows that by the annotation snapshot.storage.kubernetes.io/allow-volume-mode-change.")
}

func addWork(fs *pflag.FlagSet, c *Config, r *raw) {
	fs.UintVar(&r.threads, "worker-threads", 100, "Number of CreateVolume calls, and of DeleteVolume calls, at one time.")
	fs.DurationVar(&c.Work.RetryStart, "retry-interval-start", time.Second, "Time to the first retry of what failed; it doubles with each failure.")
	fs.DurationVar(&c.Work.RetryMax, "retry-interval-max", 5*time.Minute, "Longest time between two retries.")
	fs.BoolFunc("automaxprocs", "Set GOMAXPROCS from the container's CPU quota. The Go runtime does so by itself; the flag is accepted for compatibility.", func(value string) error {
		_, err := strconv.ParseBool(value)
		return err
	})
}

func addLeaderElection(fs *pflag.FlagSet, c *Config, r *raw) {
	l := &c.LeaderElection
	fs.BoolVar(&l.Enabled, "leader-election", false, "Let one of several replicas work, and the others stand by.")
	fs.StringVar(&l.Namespace, "leader-election-namespace", "", "Namespace of the lease; by default that of the pod (POD_NAMESPACE, else the service account's).")
	fs.DurationVar(&l.LeaseDuration, "leader-election-lease-duration", 15*time.Second, "Time after which a lease that is not renewed is free.")
	fs.DurationVar(&l.RenewDeadline, "leader-election-renew-deadline", 10*time.Second, "Time after which a leader that can't renew its lease stops.")
	fs.DurationVar(&l.RetryPeriod, "leader-election-retry-period", 5*time.Second, "Time between two attempts to take or renew the lease.")
	fs.Var(&r.labels, "leader-election-labels", "Labels for the lease, as key:value,key:value.")
}

func addHTTP(fs *pflag.FlagSet, c *Config, r *raw) {
	fs.StringVar(&c.HTTP.Endpoint, "http-endpoint", "", "TCP address, such as :8080, at which metrics and health (/livez, /readyz, /healthz/leader-election) are served; empty for none.")
	fs.StringVar(&r.metricsAddress, "metrics-address", "", "The older name of --http-endpoint.")
	fs.StringVar(&c.HTTP.MetricsPath, "metrics-path", "/metrics", "Path of the metrics.")
	fs.BoolVar(&c.HTTP.Pprof, "enable-pprof", false, "Serve profiles of the program at /debug/pprof/.")
}

// labels is the value of --leader-election-labels.
type labels map[string]string

func (l *labels) Type() string { return "mapStringString" }

func (l *labels) String() string { return joinPairs(*l, ":") }

func (l *labels) Set(value string) error {
	for pair := range strings.SplitSeq(value, ",") {
		key, label, ok := strings.Cut(pair, ":")
		if !ok || strings.Contains(label, ":") {
			return fmt.Errorf("malformed label %q: use key:value", pair)
		}
		if *l == nil {
			*l = labels{}
		}
		(*l)[strings.TrimSpace(key)] = strings.TrimSpace(label)
	}
	return nil
}

func joinPairs[V any](pairs map[string]V, between string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		all = append(all, fmt.Sprintf("%s%s%v", key, between, pairs[key]))
	}
	return strings.Join(all, ",")
}

// hint suggests the candidate that word may have been meant for.
func hint(word string, candidates []string, prefix string) string {
	if nearest, ok := names.Nearest(word, candidates); ok {
		return fmt.Sprintf(" (did you mean %s%s?)", prefix, nearest)
	}
	return ""
}
