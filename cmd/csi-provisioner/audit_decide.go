package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// decides tells whether records are to be confirmed or discarded, instead of an audit.
func (o auditOptions) decides() bool { return len(o.confirm)+len(o.discard) > 0 }

// decision is about one record of the journal.
type decision struct {
	record string
	// done says what has been done.
	done   string
	decide func(journal.Decisions, context.Context, kube.Batch, string) error
}

func (o auditOptions) decisions() []decision {
	var all []decision
	for _, record := range o.confirm {
		all = append(all, decision{record, "confirmed: the sidecar acts upon it within minutes", journal.Decisions.Confirm})
	}
	for _, record := range o.discard {
		all = append(all, decision{record, "discarded", journal.Decisions.Discard})
	}
	return all
}

// decide confirms and discards records, and tells what has become of each.
func (s *scope) decide(ctx context.Context, stdout, stderr io.Writer) int {
	code := 0
	for _, d := range s.options.decisions() {
		if err := s.carryOut(ctx, d); err != nil {
			fmt.Fprintf(stderr, "record %s: %v\n", d.record, err)
			code = exitFailure
			continue
		}
		fmt.Fprintf(stdout, "record %s: %s\n", d.record, d.done)
	}
	return code
}

func (s *scope) carryOut(ctx context.Context, d decision) error {
	name, key, _ := strings.Cut(d.record, "/")
	var batch *kube.Batch
	err := s.journal.Batches.Each(ctx, func(found kube.Batch) {
		if found.Name == name {
			batch = &found
		}
	})
	switch {
	case err != nil:
		return err
	case batch == nil:
		return fmt.Errorf("namespace %q has no ConfigMap %q of the journal", s.options.namespace, name)
	}
	own := s.journal.Own
	return d.decide(journal.Decisions{
		Store: kube.NewBatches(s.clients.Core, own.Namespace, own.Driver, batch.Node), Reader: s.journal.Reader(),
		Of: own, Name: names.JournalPrefix + "confirmed-" + rand.String(10), Now: time.Now(),
	}, ctx, *batch, key)
}
