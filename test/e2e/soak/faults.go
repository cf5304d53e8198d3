package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// A fault is something that goes wrong for that long.
type fault func(ctx context.Context, dice *rand.Rand, lasts time.Duration) error

// trouble brings about one fault after the other until the context ends.
func (k *soak) trouble(ctx context.Context, dice *rand.Rand) {
	faults := []fault{
		k.driverFails, k.driverFails, k.driverHangs, k.driverRestarts,
		k.apiFails, k.apiFails, k.apiHolds, k.pauses(cluster.APIServer), k.pauses(cluster.Etcd), k.restarts,
	}
	for sleep(ctx, time.Duration(dice.Int64N(int64(2*k.options.FaultEvery)))) {
		lasts := 500*time.Millisecond + time.Duration(dice.Int64N(int64(2500*time.Millisecond)))
		err := faults[dice.IntN(len(faults))](ctx, dice, lasts)
		if err != nil && ctx.Err() == nil {
			k.options.Progress(fmt.Sprintf("a fault could not be brought about: %v", err))
			continue
		}
		k.faults.Add(1)
	}
}

func pick[T any](dice *rand.Rand, from ...T) T { return from[dice.IntN(len(from))] }

func method(dice *rand.Rand) string {
	return pick(dice, "CreateVolume", "DeleteVolume", "ControllerExpandVolume")
}

// rule has the driver do something for a while.
func (k *soak) rule(ctx context.Context, rule control.Rule, lasts time.Duration) error {
	id, err := k.driver.Control.AddRule(ctx, rule)
	if err != nil {
		return err
	}
	sleep(ctx, lasts)
	return k.driver.Control.RemoveRule(context.WithoutCancel(ctx), id)
}

func (k *soak) driverFails(ctx context.Context, dice *rand.Rand, lasts time.Duration) error {
	return k.rule(ctx, control.Rule{
		Match: control.Match{Method: method(dice)},
		Code:  pick(dice, codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted),
		When:  pick(dice, control.Before, control.After), Message: "soak",
	}, lasts)
}

func (k *soak) driverHangs(ctx context.Context, dice *rand.Rand, lasts time.Duration) error {
	return k.rule(ctx, control.Rule{
		Match: control.Match{Method: method(dice)}, Hang: true, When: pick(dice, control.Before, control.After),
	}, lasts)
}

func (k *soak) driverRestarts(ctx context.Context, _ *rand.Rand, lasts time.Duration) error {
	k.driverLife.Lock()
	defer k.driverLife.Unlock()
	if err := k.driver.Process().Kill(); err != nil {
		return err
	}
	sleep(ctx, lasts)
	return k.driver.Start(context.WithoutCancel(ctx))
}

// write is a kind of the sidecar's writes.
func write(dice *rand.Rand) proxy.Match {
	const object = `/[^/]+$`
	return pick(dice,
		proxy.Match{Method: http.MethodPost, Path: `/persistentvolumes$`},
		proxy.Match{Method: http.MethodPatch, Path: `/persistentvolumes` + object},
		proxy.Match{Method: http.MethodDelete, Path: `/persistentvolumes` + object},
		proxy.Match{Method: http.MethodPatch, Path: `/persistentvolumeclaims/[^/]+/status$`},
		proxy.Match{Method: http.MethodPost, Path: `/configmaps$`},
		proxy.Match{Method: http.MethodDelete, Path: `/configmaps` + object},
		proxy.Match{Method: http.MethodGet, Path: `/secrets` + object},
		proxy.Match{Method: http.MethodPut, Path: `/leases` + object},
	)
}

func (k *soak) apiFails(ctx context.Context, dice *rand.Rand, lasts time.Duration) error {
	answer := pick(dice, proxy.Conflict, proxy.InternalError, proxy.Timeout, func() *metav1.Status { return proxy.TooManyRequests(1) })
	injection := k.api.Add(proxy.Rule{Match: write(dice), When: pick(dice, proxy.Before, proxy.After), Status: answer()})
	sleep(ctx, lasts)
	injection.Remove()
	return nil
}

func (k *soak) apiHolds(ctx context.Context, dice *rand.Rand, lasts time.Duration) error {
	injection := k.api.Add(proxy.Rule{Match: write(dice), When: pick(dice, proxy.Before, proxy.After), Hold: true})
	sleep(ctx, lasts)
	injection.Remove()
	return nil
}

func (k *soak) pauses(component string) fault {
	return func(ctx context.Context, _ *rand.Rand, lasts time.Duration) error {
		paused := k.stage.Cluster.Component(component)
		if err := paused.Pause(); err != nil {
			return err
		}
		sleep(ctx, lasts)
		return paused.Resume()
	}
}

func (k *soak) restarts(ctx context.Context, _ *rand.Rand, _ time.Duration) error {
	return k.stage.Cluster.Component(cluster.APIServer).Restart(context.WithoutCancel(ctx))
}
