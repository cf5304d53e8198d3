package secrets_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2/textlogger"
	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	password = "t0p-Secret"
	shown    = "secrets.Credentials{password,username}"
)

func credentials() secrets.Credentials {
	return secrets.NewCredentials(map[string][]byte{"username": []byte("admin"), "password": []byte(password)})
}

// open and hidden hold credentials as a request and a task of the sidecar might.
type open struct {
	Value   secrets.Credentials
	Pointer *secrets.Credentials
	Map     map[string]secrets.Credentials
	Any     any
	List    []*open
}

type hidden struct {
	value   secrets.Credentials
	pointer *secrets.Credentials
	list    []secrets.Credentials
}

type element struct{ Value secrets.Credentials }

// checkRedacted looks for the values in every way that printing may encode them.
func checkRedacted(t *testing.T, printed string) {
	t.Helper()
	forms := []string{password, "admin", "dDBwLVNlY3JldA", "YWRtaW4"}
	for _, verb := range []string{"%x", "%X", "% x", "%d", "%v", "%q"} {
		forms = append(forms,
			strings.Trim(fmt.Sprintf(verb, []byte(password)), "[]"), strings.Trim(fmt.Sprintf(verb, []byte("admin")), "[]"))
	}
	for _, form := range forms {
		if strings.Contains(printed, form) {
			t.Errorf("a value is shown as %q in %q", form, printed)
		}
	}
}

func TestCredentialsInFmt(t *testing.T) {
	c := credentials()
	exported := open{c, &c, map[string]secrets.Credentials{"k": c}, c, []*open{{Value: c}}}
	secret := hidden{c, &c, []secrets.Credentials{c}}
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#q", "%d", "%t", "%p", "%w", "%U", "%c", "%e", "%!", "%z", "%20s", "%.3v",
	} {
		for name, value := range map[string]any{
			"value": c, "pointer": &c, "list": []any{c, &c}, "struct": exported, "struct pointer": &exported,
			"unexported": secret, "unexported pointer": &secret, "map": map[string]*hidden{"k": &secret}, "key": keyed(&secret),
		} {
			t.Run(verb+" "+name, func(t *testing.T) {
				checkRedacted(t, fmt.Sprintf(verb, value))
				checkRedacted(t, fmt.Errorf("sending "+verb, value).Error())
			})
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{c, &c} {
			if got := fmt.Sprintf(format, value); got != shown {
				t.Errorf("Sprintf(%q, %T) = %q, want %q", format, value, got, shown)
			}
		}
	}
	var marshaler logr.Marshaler = c
	if got := marshaler.MarshalLog(); got != shown {
		t.Errorf("MarshalLog is %v, want %q", got, shown)
	}
	for name, got := range map[string]string{
		"String": c.String(), "GoString": c.GoString(), "Sprint": fmt.Sprint(c), "Sprintln": strings.TrimSpace(fmt.Sprintln(&c)),
	} {
		if got != shown {
			t.Errorf("%s is %q, want %q", name, got, shown)
		}
	}
	checkRedacted(t, errors.Join(fmt.Errorf("%v", exported)).Error())
}

// keyed has pointers as keys, whose targets fmt does not print.
func keyed(h *hidden) map[*hidden]int { return map[*hidden]int{h: 1} }

func TestCredentialsEncoded(t *testing.T) {
	c := credentials()
	value := open{Value: c, Pointer: &c, Map: map[string]secrets.Credentials{"k": c}, Any: c, List: []*open{{Value: c}}}
	for name, encode := range map[string]func(any) ([]byte, error){
		"JSON":          json.Marshal,
		"indented JSON": func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") },
		"YAML":          yaml.Marshal,
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := encode(value)
			if err != nil {
				t.Fatal(err)
			}
			checkRedacted(t, string(encoded))
			if got := strings.Count(string(encoded), shown); got != 5 {
				t.Errorf("%d of 5 credentials show their keys in %s", got, encoded)
			}
			encoded, err = encode(hidden{c, &c, nil})
			checkRedacted(t, fmt.Sprint(string(encoded), err))
		})
	}
	encoded, err := xml.Marshal(element{c})
	if err != nil || !strings.Contains(string(encoded), shown) {
		t.Errorf("XML: %s, %v", encoded, err)
	}
	checkRedacted(t, string(encoded))
	var out bytes.Buffer
	err = gob.NewEncoder(&out).Encode(c)
	checkRedacted(t, fmt.Sprint(out.String(), err))
}

func TestCredentialsInLogs(t *testing.T) {
	var out bytes.Buffer
	write := func(prefix, args string) { fmt.Fprintln(&out, prefix, args) }
	verbose := funcr.Options{Verbosity: 10}
	for name, logger := range map[string]logr.Logger{
		"funcr":     funcr.New(write, verbose),
		"JSON":      funcr.NewJSON(func(line string) { write("", line) }, verbose),
		"klog":      textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&out), textlogger.Verbosity(10))),
		"slog text": logr.FromSlogHandler(slog.NewTextHandler(&out, nil)),
		"slog JSON": logr.FromSlogHandler(slog.NewJSONHandler(&out, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			c := credentials()
			for what, value := range map[string]any{"value": c, "pointer": &c} {
				out.Reset()
				logger.Info("sending", "secrets", value)
				checkRedacted(t, out.String())
				if !strings.Contains(out.String(), shown) {
					t.Errorf("%s does not show the keys: %s", what, out.String())
				}
			}
			out.Reset()
			exported := open{Value: c, Pointer: &c, Map: map[string]secrets.Credentials{"k": c}, Any: &c, List: []*open{{Value: c}}}
			secret := hidden{c, &c, []secrets.Credentials{c}}
			for _, value := range []any{exported, &exported, secret, &secret, []any{c, &secret}, (*secrets.Credentials)(nil)} {
				logger.Info("sending", "request", value)
				logger.WithValues("request", value).Error(fmt.Errorf("sending %v", value), "failed")
			}
			if out.Len() == 0 {
				t.Fatal("nothing was logged")
			}
			checkRedacted(t, out.String())
		})
	}
}

func TestCredentialsInDiff(t *testing.T) {
	other := secrets.NewCredentials(map[string][]byte{"password": []byte("admin")})
	c := credentials()
	diff := cmp.Diff(open{Value: c, Any: &other}, open{Value: other, Any: &c})
	if diff == "" {
		t.Error("different credentials are taken for the same")
	}
	checkRedacted(t, diff)
	if diff := cmp.Diff(open{Value: c}, open{Value: credentials()}); diff != "" {
		t.Errorf("the same credentials are taken for different: %s", diff)
	}
}

func TestCredentialsReveal(t *testing.T) {
	data := map[string][]byte{"username": []byte("admin"), "password": []byte(password)}
	c := secrets.NewCredentials(data)
	data["username"][0], data["more"] = 'X', nil
	c.Reveal()["username"] = "changed"
	want := map[string]string{"username": "admin", "password": password}
	if diff := cmp.Diff(want, c.Reveal()); diff != "" {
		t.Errorf("Reveal() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"password", "username"}, c.Keys()); diff != "" {
		t.Errorf("Keys() (-want +got):\n%s", diff)
	}
	for name, none := range map[string]secrets.Credentials{"zero": {}, "nil": secrets.NewCredentials(nil)} {
		if none.Reveal() != nil || len(none.Keys()) != 0 || none.String() != "secrets.Credentials{}" || none.Equal(c) {
			t.Errorf("%s credentials are not empty: %v", name, none)
		}
		if !none.Equal(secrets.Credentials{}) {
			t.Errorf("%s credentials are not equal to none", name)
		}
	}
}
