package options

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/pflag"
)

// Capacity is how CSIStorageCapacity objects are published (KEP-1472).
type Capacity struct {
	Enabled bool
	// Immediate counts classes that bind immediately, too.
	Immediate bool
	// PollInterval is the time after which the driver is asked again.
	PollInterval time.Duration
	// OwnerLevel says whom the objects go with: 0 is the pod, 1 what controls it,
	// and so on; -1 is nobody.
	OwnerLevel int
	// Threads bounds the calls to the driver.
	Threads int
	// QPS is the average number of requests a second, Burst that at one time, to
	// write the objects; QPS 0 is no limit.
	QPS   float32
	Burst int
	// Namespace is that of the objects, and of the pod that is called Pod.
	Namespace, Pod string
}

// rawCapacity holds the values of flags that become something else in the Config.
type rawCapacity struct {
	threads uint
	qps     float64
}

// noOwner is the level at which objects have no owner.
const noOwner = -1

func addCapacity(fs *pflag.FlagSet, c *Config, r *rawCapacity) {
	z := &c.Capacity
	fs.BoolVar(&z.Enabled, "enable-capacity", false, "Publish how much capacity the driver has, for the scheduler (CSIStorageCapacity objects); needs the environment variables NAMESPACE and POD_NAME.")
	fs.BoolVar(&z.Immediate, "capacity-for-immediate-binding", false, "Publish the capacity for classes that bind immediately, too; the scheduler has no use for it.")
	fs.DurationVar(&z.PollInterval, "capacity-poll-interval", time.Minute, "Time after which the driver is asked for all capacities again.")
	fs.IntVar(&z.OwnerLevel, "capacity-ownerref-level", 1, "Whom the CSIStorageCapacity objects go with, as seen from the pod: 0 the pod itself, 1 its StatefulSet, DaemonSet or ReplicaSet, 2 the Deployment of the ReplicaSet; -1 nobody.")
	fs.UintVar(&r.threads, "capacity-threads", 1, "Number of GetCapacity calls at one time.")
	fs.Float64Var(&r.qps, "kube-api-capacity-qps", 0, "Requests a second to the API server to write CSIStorageCapacity objects, on average; 0 for no limit, as the API server has its own (API Priority and Fairness).")
	fs.IntVar(&z.Burst, "kube-api-capacity-burst", 5, "Such requests that may come at once; only with --kube-api-capacity-qps.")
}

// settleCapacity fills in what is not a flag's plain value.
func settleCapacity(c *Config, r rawCapacity, environment func(string) string) {
	z := &c.Capacity
	z.Threads = int(min(r.threads, math.MaxInt32))
	z.QPS = float32(r.qps)
	z.Pod = environment("POD_NAME")
	if z.Namespace = environment("NAMESPACE"); z.Namespace == "" {
		z.Namespace = environment("POD_NAMESPACE")
	}
}

// validateCapacity says what is wrong. Flags are checked even if nothing is
// published, the environment only if it is needed.
func validateCapacity(c Config) []error {
	z := c.Capacity
	var errs []error
	if z.PollInterval <= 0 {
		errs = append(errs, fmt.Errorf("--capacity-poll-interval=%s: must be longer than 0", z.PollInterval))
	}
	if z.OwnerLevel < noOwner {
		errs = append(errs, fmt.Errorf("--capacity-ownerref-level=%d: must be at least %d, which is no owner", z.OwnerLevel, noOwner))
	}
	if z.Threads < 1 {
		errs = append(errs, fmt.Errorf("--capacity-threads=%d: must be at least 1", z.Threads))
	}
	if z.QPS < 0 {
		errs = append(errs, fmt.Errorf("--kube-api-capacity-qps=%v: must not be negative; 0 is no limit", z.QPS))
	}
	if z.QPS > 0 && z.Burst < 1 {
		errs = append(errs, fmt.Errorf("--kube-api-capacity-burst=%d: must be at least 1", z.Burst))
	}
	if !z.Enabled {
		return errs
	}
	if !c.Controllers.Provisioner {
		errs = append(errs, errors.New("--enable-capacity: belongs to the provisioner, which --controllers leaves out"))
	}
	if z.Namespace == "" {
		errs = append(errs, errors.New("--enable-capacity: the environment variable NAMESPACE is not set, which names the namespace of CSIStorageCapacity objects: set it from the field metadata.namespace of the pod"))
	}
	if z.OwnerLevel > noOwner && z.Pod == "" {
		errs = append(errs, fmt.Errorf("--enable-capacity: the environment variable POD_NAME is not set, which --capacity-ownerref-level=%d needs: set it from the field metadata.name of the pod, or the level to %d", z.OwnerLevel, noOwner))
	}
	return errs
}
