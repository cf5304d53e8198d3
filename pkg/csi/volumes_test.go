package csi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// busy is a driver that takes a second for each call, and notes them.
type busy struct {
	mu        sync.Mutex
	now, most map[string]int
	begun     []string
	deadline  []time.Duration
}

func newBusy() *busy { return &busy{now: map[string]int{}, most: map[string]int{}} }

const callDuration = time.Second

func (b *busy) call(ctx context.Context, verb, name string) error {
	b.mu.Lock()
	b.begun = append(b.begun, verb+" "+name)
	b.now[verb]++
	b.most[verb] = max(b.most[verb], b.now[verb])
	if deadline, ok := ctx.Deadline(); ok {
		b.deadline = append(b.deadline, time.Until(deadline))
	}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now[verb]--
	}()
	select {
	case <-time.After(callDuration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *busy) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, _ ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	return &csipb.CreateVolumeResponse{}, b.call(ctx, "create", request.GetName())
}

func (b *busy) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, _ ...csi.Option) error {
	return b.call(ctx, "delete", request.GetVolumeId())
}

func (b *busy) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, _ ...csi.Option) (*csipb.ControllerExpandVolumeResponse, error) {
	return &csipb.ControllerExpandVolumeResponse{}, b.call(ctx, "expand", request.GetVolumeId())
}

func (b *busy) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, _ ...csi.Option) error {
	return b.call(ctx, "modify", request.GetVolumeId())
}

// verbs are the calls, as functions of the volume's name.
func verbs(v csi.Driver) map[string]func(context.Context, string) error {
	return map[string]func(context.Context, string) error{
		"create": func(ctx context.Context, name string) error {
			_, err := v.CreateVolume(ctx, &csipb.CreateVolumeRequest{Name: name})
			return err
		},
		"delete": func(ctx context.Context, name string) error {
			return v.DeleteVolume(ctx, &csipb.DeleteVolumeRequest{VolumeId: name})
		},
		"expand": func(ctx context.Context, name string) error {
			_, err := v.ControllerExpandVolume(ctx, &csipb.ControllerExpandVolumeRequest{VolumeId: name})
			return err
		},
		"modify": func(ctx context.Context, name string) error {
			return v.ControllerModifyVolume(ctx, &csipb.ControllerModifyVolumeRequest{VolumeId: name})
		},
	}
}

func TestLimitBoundsEachKindOfCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		started := time.Now()
		var running sync.WaitGroup
		for _, call := range verbs(csi.Limit(driver, 3, nil)) {
			for n := range 9 {
				running.Go(func() {
					if err := call(t.Context(), fmt.Sprint(n)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		running.Wait()
		for verb := range verbs(driver) {
			if driver.most[verb] != 3 {
				t.Errorf("at most %d of %s were under way at once, want 3", driver.most[verb], verb)
			}
		}
		if took := time.Since(started); took != 3*callDuration {
			t.Errorf("9 calls of each kind, 3 at once, took %s, want %s", took, 3*callDuration)
		}
	})
}

func TestLimitServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		create := verbs(csi.Limit(driver, 1, nil))["create"]
		var running sync.WaitGroup
		var want []string
		for n := range 8 {
			running.Go(func() { _ = create(t.Context(), fmt.Sprint(n)) })
			synctest.Wait() // until this one waits
			want = append(want, fmt.Sprintf("create %d", n))
		}
		running.Wait()
		if !slices.Equal(driver.begun, want) {
			t.Errorf("the calls began as %q, want %q", driver.begun, want)
		}
	})
}

func TestLimitStops(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver, stop := newBusy(), make(chan struct{})
				call := verbs(csi.Limit(driver, 1, stop))[verb]
				errs := map[string]error{}
				var mu sync.Mutex
				var running sync.WaitGroup
				start := func(name string) {
					running.Go(func() {
						err := call(t.Context(), name)
						mu.Lock()
						defer mu.Unlock()
						errs[name] = err
					})
					synctest.Wait()
				}
				start("under way")
				start("waiting")
				close(stop)
				synctest.Wait()
				start("new")
				running.Wait()
				start("new, though there is a place")
				running.Wait()
				for name, err := range errs {
					if refused := name != "under way"; errors.Is(err, csi.ErrStopping) != refused {
						t.Errorf("the call %q has the error %v", name, err)
					}
				}
				if want := []string{verb + " under way"}; !slices.Equal(driver.begun, want) {
					t.Errorf("the driver got %q, want %q", driver.begun, want)
				}
			})
		})
	}
}

func TestLimitHeedsTheContext(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver := newBusy()
				call := verbs(csi.Limit(driver, 1, nil))[verb]
				var running sync.WaitGroup
				running.Go(func() { _ = call(t.Context(), "first") })
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), callDuration/2)
				defer cancel()
				if err := call(ctx, "second"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the call whose context ends while it waits has the error %v", err)
				}
				running.Wait()
				// The place that it waited for is not lost.
				if err := call(t.Context(), "third"); err != nil {
					t.Error(err)
				}
				if want := []string{verb + " first", verb + " third"}; !slices.Equal(driver.begun, want) {
					t.Errorf("the driver got %q, want %q", driver.begun, want)
				}
			})
		})
	}
}

func TestLimitGivesThePlaceBackAfterAPanic(t *testing.T) {
	for verb, call := range verbs(csi.Limit(panicking{}, 1, nil)) {
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s did not reach the driver", verb)
					}
				}()
				_ = call(ctx, "x")
			}()
			cancel()
		}
	}
}

type panicking struct{}

func (panicking) CreateVolume(context.Context, *csipb.CreateVolumeRequest, ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	panic("create")
}

func (panicking) DeleteVolume(context.Context, *csipb.DeleteVolumeRequest, ...csi.Option) error {
	panic("delete")
}

func (panicking) ControllerExpandVolume(context.Context, *csipb.ControllerExpandVolumeRequest, ...csi.Option) (*csipb.ControllerExpandVolumeResponse, error) {
	panic("expand")
}

func (panicking) ControllerModifyVolume(context.Context, *csipb.ControllerModifyVolumeRequest, ...csi.Option) error {
	panic("modify")
}

func TestTimeoutBoundsEachCall(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver := newBusy()
				if err := verbs(csi.Timeout(driver, callDuration/2))[verb](t.Context(), "slow"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the call that takes too long has the error %v", err)
				}
				if err := verbs(csi.Timeout(driver, 2*callDuration))[verb](t.Context(), "quick"); err != nil {
					t.Errorf("the call that is quick enough has the error %v", err)
				}
			})
		})
	}
}

// gRPC's own words for it say neither how long it took nor what to do.
func TestTimeoutExplainsItself(t *testing.T) {
	conn := connected(t, &driver{
		createVolume: func(ctx context.Context, _ *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		deleteVolume: func(*csipb.DeleteVolumeRequest) error {
			return status.Error(codes.DeadlineExceeded, "the storage took too long")
		},
	})
	const timeout = 50 * time.Millisecond
	err := verbs(csi.Timeout(csi.NewDriver(conn), timeout))["create"](t.Context(), "slow")
	if csi.Classify(err) != csi.Pending || !strings.Contains(csi.Message(err), "within 50ms (--timeout)") {
		t.Errorf("the call that takes too long has the error %v", err)
	}
	// The driver's own timeout is its own.
	err = verbs(csi.Timeout(csi.NewDriver(conn), time.Minute))["delete"](t.Context(), "quick")
	if want := "DeadlineExceeded: the storage took too long"; csi.Message(err) != want {
		t.Errorf("the driver's own error has become %q, want %q", csi.Message(err), want)
	}
}

// The time that a call waits for its turn must not be taken from the driver.
func TestTimeoutBeginsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 3 * callDuration / 2
		driver := newBusy()
		create := verbs(csi.Limit(csi.Timeout(driver, timeout), 1, nil))["create"]
		var running sync.WaitGroup
		for n := range 4 {
			running.Go(func() {
				if err := create(t.Context(), fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if want := slices.Repeat([]time.Duration{timeout}, 4); !slices.Equal(driver.deadline, want) {
			t.Errorf("the calls had %v, want %v", driver.deadline, want)
		}
	})
}

func TestVolumesPassTheRequestOn(t *testing.T) {
	var created *csipb.CreateVolumeRequest
	var deleted *csipb.DeleteVolumeRequest
	conn := connected(t, &driver{
		createVolume: func(_ context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			created = request
			return &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: "handle"}}, nil
		},
		deleteVolume: func(request *csipb.DeleteVolumeRequest) error {
			deleted = request
			return nil
		},
	})
	volumes := csi.NewDriver(conn)
	response, err := volumes.CreateVolume(t.Context(), &csipb.CreateVolumeRequest{Name: "pvc-1", Secrets: map[string]string{"k": "v"}})
	if err != nil || response.GetVolume().GetVolumeId() != "handle" {
		t.Errorf("CreateVolume = %v, %v", response, err)
	}
	if err := volumes.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{VolumeId: "handle"}); err != nil {
		t.Errorf("DeleteVolume: %v", err)
	}
	if created.GetName() != "pvc-1" || created.GetSecrets()["k"] != "v" || deleted.GetVolumeId() != "handle" {
		t.Errorf("the driver got %s and %s", strings.TrimSpace(created.String()), strings.TrimSpace(deleted.String()))
	}
}
