package sidecar

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

const (
	// adoptEvery is the time after which it is looked for what a former leader has
	// written late, and deniedEvery that after which a missing right is asked for again
	// that volumes wait for.
	adoptEvery  = 2 * time.Minute
	deniedEvery = 10 * time.Second
	// flushTimeout bounds the last writes of the journal.
	flushTimeout = 5 * time.Second
)

func (p *process) newJournal(judge journal.Judge) *journal.Journal {
	o := journal.Options{
		Of:       p.installation(),
		Judge:    judge,
		Optional: p.config.Journal.Mode == options.JournalAuto,
		Prefix:   names.JournalPrefix + rand.String(10) + "-",
		Clock:    p.clock,
		Metrics:  p.metrics.Journal,
		Report:   p.reportJournal,
	}
	if p.config.Journal.Mode != options.JournalOff {
		batches := p.batches()
		o.Store, o.Access = batches, batches.Access
		o.Key = kube.NewJournalKey(p.clients.Core, p.namespace(), journal.KeySize).Get
	}
	j := journal.New(o)
	p.health.require("journal", j.Denied)
	p.metrics.Journal.WatchUnreadable(func() []metrics.UnreadableRecord {
		var all []metrics.UnreadableRecord
		for _, e := range j.Kept(journal.ErrUnreadable) {
			all = append(all, metrics.UnreadableRecord{Node: kube.NodeLabel(p.nodeName()), ConfigMap: e.Batch, Key: string(e.Claim)})
		}
		return all
	})
	return j
}

func (p *process) batches() *kube.Batches {
	return kube.NewBatches(p.clients.Core, p.namespace(), p.session.Info().Name, p.nodeName())
}

// openJournal finds out in which cluster the records are written. It returns an error if
// the journal must be there and can't be: a standby finds that out before it is needed.
func (p *process) openJournal(ctx context.Context) (err error) {
	if !p.config.Controllers.Provisioner {
		return nil
	}
	if p.config.Journal.Mode == options.JournalOff {
		p.metrics.Journal.SetEnabled(false)
		return nil
	}
	if p.cluster, err = kube.ClusterUID(ctx, p.clients.Core); err != nil {
		return err
	}
	err = p.batches().Access(ctx)
	denied := errors.Is(err, kube.ErrNoAccess)
	if err == nil || denied {
		p.metrics.Journal.SetEnabled(!denied)
	}
	if denied && p.config.Journal.Mode == options.JournalRequired {
		return err
	}
	return nil
}

// installation is what this process writes records for.
func (p *process) installation() journal.Installation {
	return journal.Installation{
		Cluster: p.cluster, Driver: p.session.Info().Name, Namespace: p.namespace(), Node: p.nodeName(),
	}
}

// judge tells whether a record may be acted upon.
func (c *provisioner) judge(p *process) journal.Judge {
	return func(ctx context.Context, intent *journal.Intent, origin journal.Origin) error {
		return journal.Verdict(journal.Facts{
			Origin: origin, Own: p.installation(), Now: p.clock.Now(), MaxAge: p.config.Journal.MaxAge,
			Claim: func() (journal.ClaimState, error) { return c.provision.ClaimOf(ctx, intent) },
			Vouch: func() error { return c.provision.Vouch(ctx, intent) },
		})
	}
}

// reportJournal tells of a problem with the journal where people look.
func (p *process) reportJournal(ctx context.Context, problem error) {
	logger := klog.FromContext(ctx)
	if problem == nil {
		logger.Info("Volumes are recorded again before they are created")
		return
	}
	logger.Error(problem, "The journal of volumes in creation has a problem", "provisioningJournal", p.config.Journal.Mode, "node", p.nodeName())
	if p.config.Journal.Pod == "" {
		return
	}
	p.events.Warning(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: p.config.Journal.Pod, Namespace: p.namespace(), UID: types.UID(p.config.Journal.PodUID),
	}}, reasonOf(problem), problem.Error())
}

// reasonOf returns the reason of the event about a problem with the journal.
func reasonOf(problem error) string {
	switch {
	case errors.Is(problem, journal.ErrUnreadable):
		return names.ReasonJournalUnreadable
	case errors.Is(problem, journal.ErrSetAside):
		return names.ReasonJournalSetAside
	}
	return names.ReasonJournalUnavailable
}

// prepare takes over what the process that worked before has begun.
func (c *provisioner) prepare(ctx context.Context) error {
	if err := c.provision.TakeOver(); err != nil {
		return err
	}
	var denied error
	err := again(ctx, "Waiting for the journal: no volume is created before it has been read", func() error {
		err := c.adopt(ctx)
		if errors.Is(err, kube.ErrNoAccess) {
			denied, err = err, nil
		}
		return err
	})
	return errors.Join(err, denied)
}

func (c *provisioner) adopt(ctx context.Context) error {
	intents, err := c.journal.Recover(ctx)
	if err != nil {
		return err
	}
	c.provision.Resume(intents)
	for _, intent := range intents {
		c.claims.Add(intent.Claim)
	}
	if len(intents) > 0 {
		klog.FromContext(ctx).Info("Taking over volumes whose creation has been begun", "number", len(intents))
	}
	return nil
}

// adoptLate takes over what a former leader has written after it was no longer
// one. It notices when a right is back that was missing, too.
func (c *provisioner) adoptLate(ctx context.Context, stop <-chan struct{}) {
	left := adoptEvery
	every(ctx, stop, deniedEvery, func() {
		left -= deniedEvery
		if c.journal.Denied() == nil && left > 0 {
			return
		}
		left = adoptEvery
		// Of a missing right the journal tells by itself.
		if err := c.adopt(ctx); err != nil && !errors.Is(err, kube.ErrNoAccess) {
			klog.FromContext(ctx).Error(err, "Looking for late records in the journal")
		}
	})
}

// every does something after each period, until stop is closed or ctx ends.
func every(ctx context.Context, stop <-chan struct{}, period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// flush writes what is left, for the next process to begin with nothing.
func (c *provisioner) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := c.journal.Flush(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Some ended records stay in the journal: the next process drops them")
	}
}
