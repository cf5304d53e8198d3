package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// warmUp is the time in which a sidecar gets ready, more or less.
const warmUp = 500 * time.Millisecond

// A Result is what came of a round.
type Result struct {
	Plan Plan
	// Asked is the number of claims, Made that of volumes that the driver made.
	Asked, Made int
	Deaths      Deaths
	Troubles    map[faults.Kind]int
	Intrusions  map[IntrusionKind]int
	// Batches is how many the journal has written.
	Batches  int
	Breaches []Breach
	Took     time.Duration
}

// play plays a round. The error says why it could not be played.
func (l *lane) play(ctx context.Context, plan Plan) (Result, error) {
	begin := time.Now()
	result := Result{Plan: plan, Deaths: Deaths{Failpoints: map[string]int{}}}
	if err := l.openAPI(); err != nil { //nolint:contextcheck // the proxy lasts longer than a call
		return result, err
	}
	defer func() { _ = l.api.Close() }()
	intruder := l.newIntruder(plan.Round)
	err := l.trouble(ctx, plan, intruder, &result)
	if err == nil {
		err = l.recover(ctx, intruder, &result)
	}
	result.Took = time.Since(begin)
	if err != nil {
		return result, fmt.Errorf("round %d: %w", plan.Round, err)
	}
	return result, nil
}

// openAPI starts the round's proxy to the API server. The peers need other rights
// than the sidecar has.
func (l *lane) openAPI() (err error) {
	if l.program.Failpoints {
		l.api, err = l.stage.Proxy()
	} else {
		l.api, err = proxy.Start(l.stage.Cluster.RESTConfig())
	}
	return err
}

func (l *lane) launch(plan Plan, replica int) launch {
	return launch{
		program: l.program,
		cluster: l.stage.Cluster,
		driver:  l.driver,
		api:     l.api.URL(),
		name:    fmt.Sprintf("%s-%c", l.id, 'a'+replica),
		elect:   plan.Replicas > 1,
		away:    plan.Away,
	}
}

// trouble is the round until everything is well again.
func (l *lane) trouble(ctx context.Context, plan Plan, intruder *intruder, result *Result) error {
	u := newUsers(ctx, l, plan)
	defer u.giveUp()
	if plan.NamespaceDeleted != Never {
		if err := l.cluster.CreateNamespace(ctx, u.apart()); err != nil {
			return err
		}
	}
	defer func() { result.Asked = u.asked }()
	if plan.Calm {
		if err := l.calm(ctx, u); err != nil {
			return err
		}
	}
	for _, rule := range plan.API {
		defer l.api.Add(rule).Remove()
	}
	if err := faults.AddRules(ctx, l.driver.Control, plan.Driver); err != nil {
		return err
	}
	var replicas []*replica
	for n := range plan.Replicas {
		replicas = append(replicas, startReplica(ctx, l.launch(plan, n), plan.Lives[n]))
	}
	wait.Sleep(ctx, warmUp)
	start := time.Now()
	var living sync.WaitGroup
	living.Go(func() { u.liveAll(ctx, start) })
	intruding, end := context.WithCancel(ctx)
	defer end()
	var intrusion sync.WaitGroup
	intrusion.Go(func() { intruder.run(intruding, start, plan.Intrusions) })
	injector := l.injector(plan, replicas)
	errs := []error{injectAll(ctx, injector, start, plan.Troubles)}
	result.Troubles = injector.Counts.ByKind()
	wait.Sleep(ctx, time.Until(start.Add(length)))
	for _, replica := range replicas {
		errs = append(errs, replica.end(plan.Graceful))
		result.Deaths.add(replica.deaths())
	}
	// The last sidecar reads what was written before it starts.
	end()
	intrusion.Wait()
	result.Intrusions = intruder.counts
	// Failpoints that were not reached are left for the time when volumes are
	// deleted.
	if err := l.heal(ctx, plan, replicas[0].livesLeft()); err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer time.AfterFunc(quiet, u.giveUp).Stop()
	living.Wait()
	return errors.Join(append(errs, u.errs...)...)
}

// injector returns that of a round's faults.
func (l *lane) injector(plan Plan, replicas []*replica) *faults.Injector {
	injector := &faults.Injector{
		Cluster: l.stage.Cluster, API: l.cluster, Driver: l.driver, Proxy: l.api, Rules: plan.Driver,
		Class: l.class(Delete), SecretNamespace: l.id, Turn: l.turn,
	}
	for _, replica := range replicas {
		injector.Sidecars = append(injector.Sidecars, replica)
	}
	return injector
}

// injectAll injects all faults at their moments, and returns when they are over.
func injectAll(ctx context.Context, injector *faults.Injector, begin time.Time, troubles []Trouble) error {
	var group sync.WaitGroup
	errs := make([]error, len(troubles))
	for n, trouble := range troubles {
		group.Go(func() {
			if !wait.Sleep(ctx, time.Until(begin.Add(trouble.At))) {
				return
			}
			if err := injector.Inject(ctx, trouble.Fault); ctx.Err() == nil {
				errs[n] = err
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// liveAll has all claims, and the round's namespace, live through their moments.
func (u *users) liveAll(ctx context.Context, begin time.Time) {
	var group sync.WaitGroup
	if at := u.plan.NamespaceDeleted; at != Never {
		group.Go(func() {
			if wait.Sleep(ctx, time.Until(begin.Add(at))) {
				u.note(u.cluster.DeleteNamespace(ctx, u.apart()))
			}
		})
	}
	group.Go(func() {
		u.each(func(c Claim) error {
			if !u.plan.Calm {
				if !wait.Sleep(ctx, time.Until(begin.Add(c.Made))) {
					return nil
				}
				if err := u.ask(ctx, c); err != nil {
					return err
				}
			}
			return u.live(ctx, begin, c)
		})
	})
	group.Wait()
}

// calm has the claims bound before there is trouble.
func (l *lane) calm(ctx context.Context, u *users) error {
	sidecar := startReplica(ctx, l.launch(u.plan, 0), nil)
	u.each(func(c Claim) error { return u.ask(ctx, c) })
	u.bound(ctx)
	return sidecar.end(true)
}

// heal makes the driver and the API server well again, and starts a sidecar that
// stays, after the lives that are left.
func (l *lane) heal(ctx context.Context, plan Plan, lives []string) error {
	if err := l.driver.Control.RemoveRules(ctx); err != nil {
		return err
	}
	if err := l.createClasses(ctx); err != nil {
		return err
	}
	if err := l.cluster.CreateSecret(ctx, l.id); err != nil {
		return err
	}
	l.healthy = startReplica(ctx, l.launch(plan, 0), lives)
	return nil
}

// recover is the round from when everything is well again: what is wrong then is
// found, and everything is cleaned up.
func (l *lane) recover(ctx context.Context, intruder *intruder, result *Result) error {
	sweeper, err := l.newBroom()
	if err != nil {
		return err
	}
	defer sweeper.close()
	breaches, seen, err := l.settle(ctx, nil)
	if err != nil {
		return err
	}
	if len(breaches) > 0 {
		sweeper.force(ctx, seen)
	}
	after, seen, err := l.settle(ctx, sweeper.tidy)
	if err != nil {
		return err
	}
	tampered, err := intruder.tampered(ctx)
	if err != nil {
		return err
	}
	err = l.healthy.end(true)
	result.Deaths.add(l.healthy.deaths())
	result.Breaches = append(result.Breaches, breaches...)
	result.Breaches = append(result.Breaches, after...)
	result.Breaches = append(result.Breaches, tampered...)
	result.Breaches = append(result.Breaches, l.revealed()...)
	result.Batches = len(l.api.Writes(proxy.Match{Method: http.MethodPost, Path: "/configmaps$", Body: inventory.JournalLabel}))
	l.putLogsAway(result)
	if err != nil {
		return err
	}
	if err := sweeper.empty(ctx, seen); err != nil {
		return err
	}
	return l.countMade(ctx, result)
}

// countMade counts the volumes that the driver has made in the round.
func (l *lane) countMade(ctx context.Context, result *Result) error {
	calls, err := l.driver.Control.Calls(ctx, control.Filter{Method: "CreateVolume", State: control.Finished})
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, call := range calls {
		if call.VolumeID != "" {
			made[call.VolumeID] = true
		}
	}
	result.Made = len(made)
	return l.driver.Control.ClearCalls(ctx)
}

// revealed looks for the Secrets' value in what the sidecar wrote.
func (l *lane) revealed() []Breach {
	var breaches []Breach
	for _, write := range l.api.Writes(proxy.Match{}) {
		if load.Reveals(string(write.Body)) {
			breaches = append(breaches, Breach{Revealed, write.Method + " " + write.Path, "the request holds the value of a Secret"})
		}
	}
	for _, file := range l.logs() {
		content, err := os.ReadFile(file)
		if err == nil && load.Reveals(string(content)) {
			breaches = append(breaches, Breach{Revealed, file, "the log holds the value of a Secret"})
		}
	}
	return breaches
}

// putLogsAway keeps the sidecar's logs of a round in which something was wrong, and
// lets go of others.
func (l *lane) putLogsAway(result *Result) {
	for _, file := range l.logs() {
		if len(result.Breaches) == 0 {
			_ = os.Remove(file)
		} else {
			_ = os.Rename(file, fmt.Sprintf("%s.round-%d", file, result.Plan.Round))
		}
	}
}

// logs are the files that the sidecar's logs may be in.
func (l *lane) logs() []string {
	var files []string
	for replica := range 2 {
		for n := range l.program.Paths {
			files = append(files, l.stage.Cluster.LogFile(l.launch(Plan{}, replica).logName(n)))
		}
	}
	return files
}
