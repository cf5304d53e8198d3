package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// auditCommand is the first argument that asks for an audit.
const auditCommand = "audit"

// Exit codes of the audit, beside exitFailure and exitUsage.
const (
	// exitUnknown: there are volumes that nobody knows.
	exitUnknown = 3
	// exitGone: there are none, but PersistentVolumes whose volume is gone.
	exitGone = 4
	// exitCannotList: the driver does not tell which volumes it has.
	exitCannotList = 5
	// exitWaiting: there are records of the journal that wait for a person.
	exitWaiting = 6
)

// requestTimeout bounds each request to the API server.
const requestTimeout = time.Minute

// runAudit is the subcommand; the arguments are those behind its name.
func runAudit(args []string, environment func(string) string, stdout, stderr io.Writer) int {
	options, err := parseAudit(args, environment, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	defer klog.Flush()
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	s, err := openScope(ctx, options)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	defer func() { _ = s.conn.Close() }()
	if options.decides() {
		return s.decide(ctx, stdout, stderr)
	}
	report, err := s.report(ctx)
	if err == nil {
		err = options.write(report, stdout)
	}
	switch {
	case errors.Is(err, csi.ErrCannotList):
		fmt.Fprintln(stderr, err)
		return exitCannotList
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return verdict(report)
}

func verdict(report *audit.Report) int {
	switch {
	case report.Summary.UnknownAtLeast > 0:
		return exitUnknown
	case report.Summary.Gone > 0:
		return exitGone
	case report.Waiting() > 0:
		return exitWaiting
	}
	return 0
}

// scope is what an audit looks at.
type scope struct {
	options auditOptions
	clients *kube.Clients
	conn    *grpc.ClientConn
	journal *audit.Journal
	cluster *audit.Cluster
}

// openScope connects to the driver and the API server. The connection is the caller's to
// close.
func openScope(ctx context.Context, options auditOptions) (*scope, error) {
	config, err := kube.RESTConfig(options.master, options.kubeconfig, "csi-provisioner-audit/"+version)
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	clients, err := kube.NewClients(config, kube.Limits{}, requestTimeout)
	if err != nil {
		return nil, err
	}
	conn, err := csi.Dial(options.address, unrecorded{})
	if err != nil {
		return nil, err
	}
	s := &scope{options: options, clients: clients, conn: conn}
	if err := s.open(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// open finds out whose volumes are audited.
func (s *scope) open(ctx context.Context) error {
	timeout := s.options.timeout
	ready, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session, err := csi.Open(ready, s.conn, timeout, clock.RealClock{})
	if err != nil {
		return fmt.Errorf("meeting the CSI driver at --csi-address %q within %s (--timeout): %w", s.options.address, timeout, err)
	}
	own := journal.Installation{Driver: session.Info().Name, Namespace: s.options.namespace}
	if own.Cluster, err = kube.ClusterUID(ctx, s.clients.Core); err != nil {
		return err
	}
	key, err := kube.NewJournalKey(s.clients.Core, own.Namespace, journal.KeySize).Read(ctx)
	if err != nil {
		return err
	}
	s.cluster = audit.NewCluster(s.clients.Core, own.Driver)
	s.journal = &audit.Journal{
		Batches: kube.NewAllBatches(s.clients.Core, own.Namespace, own.Driver),
		Exists:  s.cluster.HasClaim, Own: own, MaxAge: s.options.maxAge, Clock: clock.RealClock{},
	}
	if key != nil {
		s.journal.Signer = journal.NewSigner(key)
	}
	return nil
}

// report audits.
func (s *scope) report(ctx context.Context) (*audit.Report, error) {
	volumes, err := csi.NewLister(ctx, s.conn, s.options.page, s.options.timeout)
	if err != nil {
		return nil, err
	}
	auditor := audit.Auditor{
		Driver: s.journal.Own.Driver, Volumes: volumes, PersistentVolumes: s.cluster, Intents: s.journal,
		Settle: s.options.settle, Clock: clock.RealClock{},
	}
	return auditor.Run(ctx)
}

// unrecorded takes the calls' durations: nobody asks an audit for metrics.
type unrecorded struct{}

func (unrecorded) Record(string, bool, error, time.Duration) {}
