package options

import (
	"time"

	logsapi "k8s.io/component-base/logs/api/v1"
)

// Config is what the program is set to. It is not changed once parsed.
type Config struct {
	// ShowVersion asks for the version, and nothing else.
	ShowVersion bool

	Controllers Controllers

	CSI            CSI
	Kube           Kube
	Volumes        Volumes
	Journal        Journal
	Capacity       Capacity
	Protection     Protection
	Node           NodeDeployment
	Resizer        Resizer
	Work           Work
	LeaderElection LeaderElection
	HTTP           HTTP
	Gates          Gates
	Logging        *logsapi.LoggingConfiguration
}

// Controllers are the parts of the program, each of which takes the place of a
// sidecar.
type Controllers struct {
	// Provisioner creates and deletes volumes.
	Provisioner bool
	// Resizer expands and modifies volumes.
	Resizer bool
}

// Resizer is how volumes are expanded and modified.
type Resizer struct {
	// Threads bounds the calls of each kind to the driver.
	Threads int
	// Timeout is what the others are by default. ExpandTimeout bounds each call that
	// expands a volume, ModifyTimeout each that modifies one.
	Timeout, ExpandTimeout, ModifyTimeout time.Duration
	// RetryStart and RetryMax bound the time between two tries.
	RetryStart, RetryMax time.Duration
	// Resync is the period in which all claims are looked at again.
	Resync time.Duration
	// HandleVolumeInUseError waits for the pods of a volume that the driver can't expand while
	// it is in use.
	HandleVolumeInUseError bool
	// ExtraModifyMetadata adds the names of claim and volume to the parameters of
	// ControllerModifyVolume.
	ExtraModifyMetadata bool
	// BackfillExpandSecrets sets the controller-expand secret on volumes that were made
	// before their class had one.
	BackfillExpandSecrets bool
}

// CSI is how the driver is reached.
type CSI struct {
	// Address is the path of a socket, or a gRPC address.
	Address string
	// Timeout bounds each call.
	Timeout time.Duration
}

// Kube is how the API server is reached.
type Kube struct {
	Master, Kubeconfig string
	// QPS is the average number of requests a second, Burst that at one time;
	// QPS 0 is no limit.
	QPS   float32
	Burst int
}

// Volumes is how volumes are made.
type Volumes struct {
	VolumeNamePrefix string
	// VolumeNameUUIDLength is the number of characters of the claim's UID without its
	// dashes; -1 for the UID as it is.
	VolumeNameUUIDLength      int
	DefaultFSType             string
	ExtraCreateMetadata       bool
	StrictTopology            bool
	ImmediateTopology         bool
	ControllerPublishReadonly bool
	// PreventVolumeModeConversion refuses to restore a snapshot to a volume of another
	// mode, unless its content allows it.
	PreventVolumeModeConversion bool
}

// Work is how much is done at once, and how often again.
type Work struct {
	// Threads bounds the calls of each kind to the driver.
	Threads              int
	RetryStart, RetryMax time.Duration
}

// LeaderElection is how replicas agree which of them works.
type LeaderElection struct {
	Enabled bool
	// Namespace of the lease; empty for that of the pod.
	Namespace                                 string
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Labels are put on the lease.
	Labels map[string]string
}

// HTTP is what is served for people and probes.
type HTTP struct {
	// Endpoint is the TCP address; empty for no server.
	Endpoint    string
	MetricsPath string
	Pprof       bool
}

// Gates are the feature gates.
type Gates struct {
	// Topology uses the driver's topology, if it has that capability.
	Topology bool
	// CrossNamespaceVolumeDataSource lets claims name a data source of another
	// namespace (KEP-3294).
	CrossNamespaceVolumeDataSource bool
	// AnnotateFsResize notes on a volume its size before it is expanded, until its
	// file system has, too.
	AnnotateFsResize bool
	// RecoverVolumeExpansionFailure lets a claim ask for less after an expansion
	// has failed (KEP-1790).
	RecoverVolumeExpansionFailure bool
	// VolumeAttributesClass modifies volumes (KEP-3751).
	VolumeAttributesClass bool
	// LoggingAlphaOptions lets the logging flags be used that are not stable yet.
	LoggingAlphaOptions bool
}
