package price

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Writes are requests to the API server that change something, as it has counted
// them itself, but for those that it was too busy for.
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
	return count(content)
}

// count adds up the counters in a text of metrics.
func count(content []byte) (Writes, error) {
	counter := regexp.MustCompile(`^apiserver_request_total\{.*resource="(configmaps|persistentvolumes|persistentvolumeclaims)".*verb="(?:POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)".*\} (\S+)$`)
	var writes Writes
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		match := counter.FindStringSubmatch(lines.Text())
		if match == nil || strings.Contains(lines.Text(), `code="429"`) {
			continue
		}
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return Writes{}, fmt.Errorf("reading the API server's metrics: %q: %w", lines.Text(), err)
		}
		if match[1] == "configmaps" {
			writes.Journal += int(value)
		} else {
			writes.Volumes += int(value)
		}
	}
	if err := lines.Err(); err != nil {
		return Writes{}, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	return writes, nil
}
