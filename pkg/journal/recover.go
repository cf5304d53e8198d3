package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Recover reads the segments that other processes have left, and returns their
// intents; each is returned once. It is to be called before anything is begun,
// and from time to time: what a former leader was writing when it lost its lease
// may come late. Without the right to use the store the error wraps
// [kube.ErrNoAccess]; an optional journal goes on without it, but not before it has
// been missing for some seconds, in which there is another error.
func (j *Journal) Recover(ctx context.Context) ([]*Intent, error) {
	if j.options.Store == nil {
		return nil, nil
	}
	on, err := j.access(ctx)
	if err != nil || !on {
		return nil, err
	}
	before := j.names()
	segments, err := j.list(ctx)
	if err != nil {
		return nil, err
	}
	j.compare(before, segments)
	var names []string
	var all []found
	for name, content := range segments {
		if j.isUnknown(name) {
			names = append(names, name)
			all = append(all, read(name, content)...)
		}
	}
	return j.adopt(ctx, names, all), nil
}

func (j *Journal) list(ctx context.Context) (map[string]map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	segments, err := j.options.Store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return segments, nil
}

// access asks for the right to use the store once, and again while it is missing.
func (j *Journal) access(ctx context.Context) (on bool, err error) {
	j.mu.Lock()
	known := j.checked && !j.off
	j.mu.Unlock()
	if known {
		return true, nil
	}
	missing := j.missing(ctx)
	switch lacks := j.lacks(missing); {
	case missing == nil || j.options.Optional && lacks:
	case j.options.Optional && errors.Is(missing, kube.ErrNoAccess):
		return false, fmt.Errorf("making sure for %s: %s", sureAfter, missing) //nolint:errorlint // it does not count yet
	default:
		return false, missing
	}
	j.mu.Lock()
	j.checked = true
	changed := j.off != (missing != nil)
	j.mu.Unlock()
	if changed {
		j.setOff(ctx, missing)
	}
	return missing == nil, nil
}

// isUnknown tells whether a segment is one that nobody takes care of. What this
// process is writing or has just deleted, it knows.
func (j *Journal) isUnknown(name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, known := j.stored[name]
	_, gone := j.gone[name]
	return !known && (gone || !strings.HasPrefix(name, j.options.Prefix))
}

// adopt takes care of segments, and returns the intents in them that are new. A
// segment that comes to light after its deletion is deleted again.
func (j *Journal) adopt(ctx context.Context, names []string, all []found) []*Intent {
	// The first of a claim is the valid one.
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.generation, a.generation), cmp.Compare(a.segment, b.segment), cmp.Compare(a.uid, b.uid))
	})
	var intents []*Intent
	var broken []error
	j.mu.Lock()
	for _, name := range names {
		s := newStoredSegment()
		_, s.lost = j.gone[name]
		j.stored[name] = s
	}
	for _, f := range all {
		s := j.stored[f.segment]
		if s.lost {
			continue
		}
		s.keys[f.uid] = struct{}{}
		j.generation = max(j.generation, f.generation)
		if f.err != nil {
			s.unreadable[f.uid] = f.err
			broken = append(broken, fmt.Errorf("key %q of %q: %w", f.uid, f.segment, f.err))
			continue
		}
		if r := j.records[f.uid]; r != nil {
			r.segments[f.segment] = struct{}{}
			s.end(f.uid, j.options.Clock.Now())
			s.urgent = s.urgent || len(r.settled) > 0
			continue
		}
		j.remember(f.intent, nil).segments[f.segment] = struct{}{}
		intents = append(intents, f.intent)
	}
	j.mu.Unlock()
	signal(j.dropNow)
	if len(broken) > 0 {
		j.options.Report(ctx, fmt.Errorf("the journal has records that this program can't read, and keeps: a volume may exist without a PersistentVolume; csi-provisioner audit shows it; when it is taken care of, delete the keys: %w", errors.Join(broken...)))
	}
	return intents
}
