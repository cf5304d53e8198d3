package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/protection"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// guardedBy is what knows the volumes under way.
type guardedBy interface{ InUse(key source.Key) bool }

// users are those of a source.
type users struct {
	guardedBy
	*kube.Informers
	others *otherJournals
}

// Elsewhere tells whether the process of another node makes a volume from a source.
func (u users) Elsewhere(ctx context.Context, key source.Key) (bool, error) {
	return u.others.use(ctx, key)
}

// unreadFresh is for how long a record that can't be read may be of a claim that the
// informer does not show yet.
const unreadFresh = time.Minute

// mostUnread is the number of records of other nodes that can't be read, or are not of this
// installation, that are heeded: whoever may write ConfigMaps can write any number.
const mostUnread = 1000

// judgeOthers tells of another node's record whether it is of this installation. What it
// is worth is for that node's process to say.
func judgeOthers(own journal.Installation) journal.Judge {
	own.Node = ""
	return func(_ context.Context, _ *journal.Intent, origin journal.Origin) error {
		return journal.Verdict(journal.Facts{
			Origin: origin, Own: own,
			Claim: func() (journal.ClaimState, error) { return journal.ClaimWaits, nil },
			Vouch: func() error { return errors.New("that is for its own node to say") },
		})
	}
}

// otherJournals are those of the other nodes' processes, in which they tell what they
// make volumes from. Nil is for a process that works for all nodes.
type otherJournals struct {
	own knower
	// node is the own one, as it is in the labels of batches.
	node   string
	all    batchLister
	claims corelisters.PersistentVolumeClaimLister
	// judge tells of a record whether it is of this installation.
	judge journal.Judge
	clock clock.PassiveClock
	// report is told of each record of another node that can't be read, once.
	report func(ctx context.Context, err error)

	mu sync.Mutex
	// unread are the records that can't be read, and when each was seen first. It is as
	// the last list was.
	unread map[metrics.UnreadableRecord]time.Time
}

// knower tells which intents this process takes care of, and reads those of others; see
// [journal.Journal].
type knower interface {
	Knows(claim types.UID) bool
	Reader(judge journal.Judge) journal.Reader
}

// batchLister looks at the batches of all nodes; see [kube.Batches].
type batchLister interface {
	Each(ctx context.Context, see func(kube.Batch)) error
}

func (p *process) batchesOfAllNodes() *kube.Batches {
	return kube.NewAllBatches(p.clients.Core, p.namespace(), p.session.Info().Name)
}

func (p *process) newOtherJournals(own knower, all batchLister) *otherJournals {
	o := &otherJournals{
		own: own, node: kube.NodeLabel(p.nodeName()), all: all, claims: p.informers.ClaimLister(), judge: judgeOthers(p.installation()), clock: p.clock, report: p.reportJournal,
		unread: map[metrics.UnreadableRecord]time.Time{},
	}
	p.metrics.Journal.WatchUnreadable(o.list)
	return o
}

// use tells whether another node's process may be making a volume from a source. What
// can't be read of their journals concerns the source of its own claim only; see
// [plan.MayUse].
func (o *otherJournals) use(ctx context.Context, key source.Key) (bool, error) {
	if o == nil {
		return false, nil
	}
	intents, unread, err := o.read(ctx)
	if err != nil {
		return false, err
	}
	for _, intent := range intents {
		for _, made := range intent.Plans {
			if made.Source != nil && made.Source.Key == key {
				return true, nil
			}
		}
	}
	return o.mayUse(unread, key)
}

// mayUse looks for the claims of records that can't be read.
func (o *otherJournals) mayUse(unread map[types.UID]bool, key source.Key) (bool, error) {
	if len(unread) == 0 {
		return false, nil
	}
	all, err := o.claims.List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("looking for the claims of records that can't be read: %w", err)
	}
	claims := map[types.UID]*corev1.PersistentVolumeClaim{}
	for _, claim := range all {
		if _, ok := unread[claim.UID]; ok {
			claims[claim.UID] = claim
		}
	}
	for uid, fresh := range unread {
		if plan.MayUse(plan.Unread{Claim: claims[uid], Fresh: fresh}, key) {
			return true, nil
		}
	}
	return false, nil
}

// read returns the intents of other processes, and the claims of those that can't be
// read, with whether they are fresh.
func (o *otherJournals) read(ctx context.Context) (intents []*journal.Intent, unread map[types.UID]bool, err error) {
	found := map[metrics.UnreadableRecord]error{}
	reader := o.own.Reader(o.judge)
	err = o.all.Each(ctx, func(batch kube.Batch) {
		for _, record := range reader.Read(ctx, batch) {
			switch {
			case record.Kept != nil && len(found) < mostUnread:
				found[metrics.UnreadableRecord{Node: batch.Node, ConfigMap: batch.Name, Key: string(record.Claim)}] = record.Kept
			case record.Kept == nil && !o.own.Knows(record.Claim):
				intents = append(intents, record.Intent)
			}
		}
	})
	if apierrors.IsForbidden(err) {
		return nil, nil, nil // The others have no journal, either.
	}
	if err != nil {
		return nil, nil, err
	}
	unread, news := o.note(found)
	for _, err := range news {
		o.report(ctx, err)
	}
	return intents, unread, nil
}

// note remembers which records can't be read, and returns their claims, and what is to be
// told of those that are new. Of the own ones the own journal tells.
func (o *otherJournals) note(found map[metrics.UnreadableRecord]error) (unread map[types.UID]bool, news []error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock.Now()
	for record := range o.unread {
		if _, still := found[record]; !still {
			delete(o.unread, record)
		}
	}
	unread = map[types.UID]bool{}
	for record, why := range found {
		since, known := o.unread[record]
		if !known {
			since = now
			o.unread[record] = now
		}
		if !known && record.Node != o.node {
			news = append(news, fmt.Errorf("on node %q: %w: the snapshot or claim that its claim names as a data source is kept until the claim has a volume or is gone", record.Node, why))
		}
		uid := types.UID(record.Key)
		unread[uid] = unread[uid] || now.Sub(since) < unreadFresh
	}
	return unread, news
}

// refresh notes which records have been taken care of, if there were any to begin with.
func (o *otherJournals) refresh(ctx context.Context) error {
	if o == nil || len(o.list()) == 0 {
		return nil
	}
	_, _, err := o.read(ctx)
	return err
}

// list returns the records of other nodes that can't be read.
func (o *otherJournals) list() []metrics.UnreadableRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]metrics.UnreadableRecord, 0, len(o.unread))
	for record := range o.unread {
		if record.Node != o.node {
			all = append(all, record)
		}
	}
	return all
}
