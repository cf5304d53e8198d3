package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/records"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// An Intrusion is what others than the sidecar do to its journal, at a moment.
type Intrusion struct {
	At   time.Duration
	Kind IntrusionKind
}

// IntrusionKind is what is done.
type IntrusionKind string

// The kinds of intrusions.
const (
	// Restore writes batches again that the sidecar has written, and deleted.
	Restore IntrusionKind = "records restored"
	// Forge writes records that have volumes deleted, or given away.
	Forge IntrusionKind = "records forged"
)

// Intrusions returns all kinds.
func Intrusions() []IntrusionKind { return []IntrusionKind{Restore, Forge} }

// forgedPrefix begins the names of batches that the sidecar has not written.
const forgedPrefix = "forged-"

const (
	// archiveEvery is the time between two backups, and archived the number of batches
	// that are kept of them.
	archiveEvery = 100 * time.Millisecond
	archived     = 20
	// attacked is the number of volumes that forged records are about, at one time.
	attacked = 5
)

// intruder does to the journal what its plan says.
type intruder struct {
	*lane
	round int

	mu sync.Mutex
	// archive are batches that the sidecar has written.
	archive []corev1.ConfigMap
	// counts are the records of each kind.
	counts map[IntrusionKind]int
	// forged are the batches that were forged, with the number of their keys.
	forged map[string]int
}

func (l *lane) newIntruder(round int) *intruder {
	return &intruder{lane: l, round: round, counts: map[IntrusionKind]int{}, forged: map[string]int{}}
}

// run does all until the context ends. What can't be done at its moment, because there is no
// record or no volume yet or the API server is away, is done as soon as it can be.
func (i *intruder) run(ctx context.Context, begin time.Time, intrusions []Intrusion) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		for wait.Sleep(ctx, archiveEvery) {
			i.backUp(ctx)
		}
	})
	for _, intrusion := range intrusions {
		group.Go(func() {
			if wait.Sleep(ctx, time.Until(begin.Add(intrusion.At))) {
				i.intrude(ctx, intrusion.Kind)
			}
		})
	}
}

func (i *intruder) intrude(ctx context.Context, kind IntrusionKind) {
	do := i.restore
	if kind == Forge {
		do = i.forge
	}
	done := do(ctx)
	for done == 0 && wait.Sleep(ctx, archiveEvery) {
		done = do(ctx)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts[kind] += done
}

// backUp keeps what the sidecar has written.
func (i *intruder) backUp(ctx context.Context) {
	batches, err := inventory.Journal(ctx, i.client, i.driver.Name, 0)
	if err != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, batch := range batches {
		known := slices.ContainsFunc(i.archive, func(kept corev1.ConfigMap) bool { return kept.Name == batch.Name })
		if !known && !strings.HasPrefix(batch.Name, forgedPrefix) {
			i.archive = append(i.archive, batch)
		}
	}
	i.archive = i.archive[max(0, len(i.archive)-archived):]
}

func (i *intruder) backup() []corev1.ConfigMap {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.archive)
}

// restore writes all batches of the backup that are not there.
func (i *intruder) restore(ctx context.Context) int {
	done := 0
	for _, batch := range i.backup() {
		if i.write(ctx, batch.Name, batch.Labels, batch.BinaryData) {
			done += recordsIn(batch.BinaryData)
		}
	}
	return done
}

// forge writes a batch about volumes that there are.
func (i *intruder) forge(ctx context.Context) int {
	seen, err := i.observe(ctx)
	genuine, batch := i.sample()
	if err != nil || genuine == nil || len(seen.Claims) == 0 {
		return 0
	}
	content := map[string][]byte{}
	if terms, ok := batch.BinaryData[records.Terms]; ok {
		content[records.Terms] = terms
	}
	for n, volume := range seen.PersistentVolumes[:min(attacked, len(seen.PersistentVolumes))] {
		claim := seen.Claims[n%len(seen.Claims)]
		attacker := corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
		attack, err := records.Attack(genuine, attacker, volume.Name, volume.Spec.CSI.VolumeHandle)
		if err != nil {
			return 0
		}
		maps.Copy(content, attack)
	}
	forged := recordsIn(content)
	if forged == 0 {
		return 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	name := fmt.Sprintf("%s%s-%d-%d", forgedPrefix, i.id, i.round, len(i.forged))
	if !i.write(ctx, name, batch.Labels, content) {
		return 0
	}
	i.forged[name] = len(content)
	return forged
}

// sample is a record that the sidecar has written, and its batch.
func (i *intruder) sample() (record []byte, batch corev1.ConfigMap) {
	for _, batch := range i.backup() {
		for key, value := range batch.BinaryData {
			if key != records.Terms {
				return value, batch
			}
		}
	}
	return nil, corev1.ConfigMap{}
}

func (i *intruder) write(ctx context.Context, name string, labels map[string]string, content map[string][]byte) bool {
	_, err := i.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, BinaryData: content,
	}, metav1.CreateOptions{})
	return err == nil
}

func recordsIn(content map[string][]byte) int {
	if _, ok := content[records.Terms]; ok {
		return len(content) - 1
	}
	return len(content)
}

// tampered finds forged batches that are not as they were written: the sidecar must not
// have taken them for its own.
func (i *intruder) tampered(ctx context.Context) ([]Breach, error) {
	var breaches []Breach
	for _, name := range slices.Sorted(maps.Keys(i.forged)) {
		var batch *corev1.ConfigMap
		err := i.cluster.Patience.Try(ctx, "reading ConfigMap "+name, func() (err error) {
			batch, err = i.client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(batch.BinaryData) != i.forged[name] {
			breaches = append(breaches, Breach{Tampered, name, fmt.Sprintf("%d of %d forged keys are left", len(batch.BinaryData), i.forged[name])})
		}
	}
	return breaches, nil
}
