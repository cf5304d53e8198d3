package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

func testSecret() secrets.Ref { return secrets.Ref{Namespace: "default", Name: "test-secret"} }

// vault is a reader of Secrets, and the server behind it.
type vault struct {
	*Secrets
	clock *clocktesting.FakePassiveClock
	reads atomic.Int32
	// password is what the Secret holds; with err it can't be read.
	password string
	err      error
	before   func()
}

func newVault() *vault {
	v := &vault{clock: clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)), password: "t0p-Secret"}
	v.Secrets = NewSecrets(v.client(), v.clock)
	return v
}

func (v *vault) client() *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("get", "secrets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		v.reads.Add(1)
		if v.before != nil {
			v.before()
		}
		if v.err != nil {
			return true, nil, v.err
		}
		return true, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: action.GetNamespace(), Name: action.(clienttesting.GetAction).GetName()},
			Data:       map[string][]byte{"password": []byte(v.password)},
		}, nil
	})
	return client
}

// expect reads the Secret and compares what it says, and how often it has been
// asked for.
func (v *vault) expect(t *testing.T, password string, reads int32) {
	t.Helper()
	credentials, err := v.Get(t.Context(), testSecret())
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"password": password}, credentials.Reveal()); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	if got := v.reads.Load(); got != reads {
		t.Errorf("the Secret has been read %d times, want %d", got, reads)
	}
}

func (v *vault) pass(d time.Duration) { v.clock.SetTime(v.clock.Now().Add(d)) }

func TestSecretIsRememberedForTwoSeconds(t *testing.T) {
	v := newVault()
	v.expect(t, "t0p-Secret", 1)
	v.password = "changed"
	v.pass(2*time.Second - 1)
	v.expect(t, "t0p-Secret", 1)
	v.pass(1)
	v.expect(t, "changed", 2)
	// It is not the reading that keeps it.
	v.password = "again"
	v.pass(time.Second)
	v.expect(t, "changed", 2)
	v.pass(time.Second)
	v.expect(t, "again", 3)
}

func TestSecretsAreRememberedApart(t *testing.T) {
	v := newVault()
	for _, ref := range []secrets.Ref{testSecret(), {Namespace: "default", Name: "other"}, {Namespace: "other", Name: "test-secret"}} {
		if _, err := v.Get(t.Context(), ref); err != nil {
			t.Fatalf("Get: %v", err)
		}
	}
	if got := v.reads.Load(); got != 3 {
		t.Errorf("3 Secrets took %d reads", got)
	}
}

func TestSecretIsForgotten(t *testing.T) {
	v := newVault()
	v.expect(t, "t0p-Secret", 1)
	v.password = "changed"
	v.Forget(testSecret())
	v.expect(t, "changed", 2)
	v.Forget(secrets.Ref{Namespace: "x", Name: "unknown"})
	v.expect(t, "changed", 2)
}

func TestFailureIsNotRemembered(t *testing.T) {
	v := newVault()
	v.err = errors.New("etcd is away")
	if _, err := v.Get(t.Context(), testSecret()); !errors.Is(err, v.err) {
		t.Errorf("Get: error %v, want %v", err, v.err)
	}
	v.err = nil
	v.expect(t, "t0p-Secret", 2)
	// Nor is what was known before it.
	v.pass(time.Minute)
	v.err = errors.New("etcd is away")
	if _, err := v.Get(t.Context(), testSecret()); !errors.Is(err, v.err) {
		t.Errorf("Get: error %v, want %v", err, v.err)
	}
}

func TestReadsAtTheSameTimeShareARequest(t *testing.T) {
	const readers = 20
	v := newVault()
	var begun, running sync.WaitGroup
	begun.Add(readers)
	v.before = begun.Wait
	for range readers {
		running.Go(func() {
			begun.Done()
			if credentials, err := v.Get(t.Context(), testSecret()); err != nil || credentials.Reveal()["password"] != "t0p-Secret" {
				t.Errorf("Get = %v, %v", credentials, err)
			}
		})
	}
	running.Wait()
	if got := v.reads.Load(); got != 1 {
		t.Errorf("%d reads at the same time took %d requests, want 1", readers, got)
	}
}

// slow is a server that holds back the answer for one Secret.
type slow struct {
	path           string
	asked, release chan struct{}
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, s.path) {
		close(s.asked)
		<-s.release
	}
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(`{"apiVersion": "v1", "kind": "Secret"}`)),
	}, nil
}

// A Secret that takes its time must not hold up those that don't.
func TestSlowSecretHoldsUpNoOther(t *testing.T) {
	server := slow{"/test-secret", make(chan struct{}), make(chan struct{})}
	clients, err := NewClients(&rest.Config{Host: "http://127.0.0.1:1", Transport: server}, Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader := NewSecrets(clients.Core, clock.RealClock{})
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := reader.Get(t.Context(), testSecret()); err != nil {
			t.Errorf("Get of the slow one: %v", err)
		}
	})
	<-server.asked
	if _, err := reader.Get(t.Context(), secrets.Ref{Namespace: "default", Name: "other"}); err != nil {
		t.Errorf("Get of another: %v", err)
	}
	reader.Forget(testSecret())
	close(server.release)
	running.Wait()
}

func TestRememberedSecretsAreBounded(t *testing.T) {
	v := newVault()
	for n := range 10 * secretSweep {
		if _, err := v.Get(t.Context(), secrets.Ref{Namespace: "default", Name: fmt.Sprint("s", n)}); err != nil {
			t.Fatalf("Get: %v", err)
		}
		if len(v.entries) > secretSweep {
			t.Fatalf("after %d Secrets, %d are remembered, want at most %d", n+1, len(v.entries), secretSweep)
		}
	}
}

func TestSecretErrorsNameTheMend(t *testing.T) {
	cases := map[string]struct {
		err  error
		want []string
	}{
		"missing": {apierrors.NewNotFound(resource("secrets"), "test-secret"), []string{"does not exist", "create it"}},
		"forbidden": {
			apierrors.NewForbidden(resource("secrets"), "test-secret", errors.New("no role")),
			[]string{"the service account may not", "the verb get for secrets", `namespace "default"`},
		},
		"other": {errors.New("etcd is away"), []string{"etcd is away"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := newVault()
			v.err = c.err
			_, err := v.Get(t.Context(), testSecret())
			if !errors.Is(err, c.err) {
				t.Errorf("the error %v does not wrap %v", err, c.err)
			}
			for _, want := range append(c.want, `"default/test-secret"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestReadingASecretIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := silentServer(t)
		clients, err := NewClients(config, Limits{}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		_, err = NewSecrets(clients.Core, clock.RealClock{}).Get(t.Context(), testSecret())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != 10*time.Second {
			t.Errorf("Get: error %v after %s, want the end of its time after 10s", err, time.Since(started))
		}
	})
}
