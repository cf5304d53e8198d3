package options

import (
	"time"

	logsapi "k8s.io/component-base/logs/api/v1"
)

// Config is what the program is set to. It is not changed once parsed.
type Config struct {
	// ShowVersion asks for the version, and nothing else.
	ShowVersion bool

	CSI            CSI
	Kube           Kube
	Volumes        Volumes
	Work           Work
	LeaderElection LeaderElection
	HTTP           HTTP
	Gates          Gates
	Logging        *logsapi.LoggingConfiguration
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
	NamePrefix string
	// NameUUIDLength is the number of characters of the claim's UID without its
	// dashes; -1 for the UID as it is.
	NameUUIDLength    int
	DefaultFSType     string
	ExtraMetadata     bool
	StrictTopology    bool
	ImmediateTopology bool
	PublishReadonly   bool
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
}
