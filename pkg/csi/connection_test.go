package csi_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	logsapi "k8s.io/component-base/logs/api/v1"
	logsjson "k8s.io/component-base/logs/json"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestDialTakesPathsAndAddresses(t *testing.T) {
	d := &driver{deleteVolume: func(*csipb.DeleteVolumeRequest) error { return nil }}
	socket := newSocket(t)
	serve(t, socket, d)
	for _, address := range []string{socket, "unix://" + socket} {
		conn := dial(t, address, nil)
		if err := csi.NewDriver(conn).DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{}); err != nil {
			t.Errorf("DeleteVolume at %q: %v", address, err)
		}
	}
}

func TestDialRejectsWhatIsNoAddress(t *testing.T) {
	const address = "unix://host/relative\x00"
	if _, err := csi.Dial(address, &calls{}); err == nil || !strings.Contains(err.Error(), "connecting to the CSI driver at") {
		t.Errorf("Dial(%q): error %v, want one that says what was tried", address, err)
	}
}

// gRPC would drop answers beyond 4 MiB, and with them the handle.
func TestAnswersMayBeLarge(t *testing.T) {
	attribute := strings.Repeat("x", 5<<20)
	conn := connected(t, &driver{createVolume: func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
		return &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: "v", VolumeContext: map[string]string{"a": attribute}}}, nil
	}})
	response, err := csi.NewDriver(conn).CreateVolume(t.Context(), &csipb.CreateVolumeRequest{})
	if err != nil || response.GetVolume().GetVolumeContext()["a"] != attribute {
		t.Errorf("CreateVolume: error %v", err)
	}
}

func TestCallsAreRecorded(t *testing.T) {
	socket := newSocket(t)
	serve(t, socket, &driver{
		createVolume: func(_ context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			return nil, status.Error(codes.Internal, "login with "+request.GetSecrets()["password"])
		},
		deleteVolume: func(*csipb.DeleteVolumeRequest) error { return nil },
	})
	recorder := &calls{}
	volumes := csi.NewDriver(dial(t, socket, recorder))
	_, createErr := volumes.CreateVolume(t.Context(), &csipb.CreateVolumeRequest{Secrets: map[string]string{"password": "t0p-Secret"}})
	if err := volumes.DeleteVolume(csi.ForMigrated(t.Context(), true), &csipb.DeleteVolumeRequest{}); err != nil {
		t.Fatalf("DeleteVolume: %v", err)
	}
	if len(recorder.all) != 2 {
		t.Fatalf("recorded %+v, want 2 calls", recorder.all)
	}
	create, deletion := recorder.all[0], recorder.all[1]
	if create.method != "/csi.v1.Controller/CreateVolume" || !errors.Is(create.err, createErr) || create.took <= 0 {
		t.Errorf("recorded %+v, want CreateVolume with error %v and a duration", create, createErr)
	}
	if create.migrated || !deletion.migrated {
		t.Errorf("recorded as for in-tree volumes: CreateVolume %t, DeleteVolume %t, want only the latter", create.migrated, deletion.migrated)
	}
	if strings.Contains(create.err.Error(), "t0p-Secret") {
		t.Errorf("the recorded error shows the secret: %v", create.err)
	}
	if deletion.method != "/csi.v1.Controller/DeleteVolume" || deletion.err != nil || deletion.took <= 0 {
		t.Errorf("recorded %+v, want DeleteVolume without an error", deletion)
	}
}

// transcript takes what is logged.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (*transcript) Sync() error { return nil }

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// loggers are the ways in which a logger may print what it is given: by klog's
// rules, by those of JSON, and by those of logr's own.
func loggers() map[string]func(*transcript, int) logr.Logger {
	return map[string]func(*transcript, int) logr.Logger{
		"json": func(out *transcript, verbosity int) logr.Logger {
			return funcr.NewJSON(func(line string) { _, _ = out.Write([]byte(line)) }, funcr.Options{Verbosity: verbosity})
		},
		"component-base": func(out *transcript, verbosity int) logr.Logger {
			logger, _ := logsjson.NewJSONLogger(logsapi.VerbosityLevel(verbosity), out, nil, nil)
			return logger
		},
	}
}

func TestCallsAreLoggedWithoutSecrets(t *testing.T) {
	for name, newLogger := range loggers() {
		t.Run(name, func(t *testing.T) {
			out := &transcript{}
			logOneCall(t, newLogger(out, 5))
			checkLogged(t, out.String())
		})
	}
	t.Run("klog", func(t *testing.T) {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.Verbosity(5), ktesting.BufferLogs(true)))
		logOneCall(t, logger)
		checkLogged(t, logger.GetSink().(ktesting.Underlier).GetBuffer().String())
	})
}

func TestCallsAreNotLoggedByDefault(t *testing.T) {
	for name, newLogger := range loggers() {
		out := &transcript{}
		logOneCall(t, newLogger(out, 4))
		if out.String() != "" {
			t.Errorf("%s: at level 4 this is logged: %s", name, out)
		}
	}
}

// logOneCall makes a call that fails, to a driver that repeats the secrets.
func logOneCall(t *testing.T, logger logr.Logger) {
	t.Helper()
	conn := connected(t, &driver{createVolume: func(_ context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
		return nil, status.Errorf(codes.Internal, "login with %v failed", request.GetSecrets())
	}})
	_, err := csi.NewDriver(conn).CreateVolume(klog.NewContext(t.Context(), logger), &csipb.CreateVolumeRequest{
		Name:    "pvc-1",
		Secrets: map[string]string{"username": "admin", "password": "t0p-Secret"},
	})
	if err == nil {
		t.Fatal("CreateVolume has no error")
	}
}

func checkLogged(t *testing.T, text string) {
	t.Helper()
	for _, want := range []string{"/csi.v1.Controller/CreateVolume", "pvc-1", "password", "failed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	for _, secret := range []string{"admin", "t0p-Secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log shows %q:\n%s", secret, text)
		}
	}
}
