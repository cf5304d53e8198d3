package price

import (
	"context"
	"fmt"
	"slices"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// Writes are requests to the API server that change something, as it has counted
// them itself, except those that it was too busy for.
type Writes struct {
	// Journal is the number of those to the journal, Volumes that of all others that
	// have to do with claims and volumes.
	Journal, Volumes int
}

func (w Writes) minus(other Writes) Writes {
	return Writes{Journal: w.Journal - other.Journal, Volumes: w.Volumes - other.Volumes}
}

// writes asks the API server for its counters.
func (b *bench) writes(ctx context.Context) (Writes, error) {
	content, err := b.client.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return Writes{}, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	return count(string(content))
}

// count adds up the counters in a text of metrics.
func count(metrics string) (Writes, error) {
	requests, err := figures.Metric(metrics, "apiserver_request_total")
	if err != nil {
		return Writes{}, err
	}
	verbs := []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
	var writes Writes
	for _, series := range requests {
		if !slices.Contains(verbs, series.Labels["verb"]) || series.Labels["code"] == "429" {
			continue
		}
		switch series.Labels["resource"] {
		case "configmaps":
			writes.Journal += int(series.Value)
		case "persistentvolumes", "persistentvolumeclaims":
			writes.Volumes += int(series.Value)
		}
	}
	return writes, nil
}
