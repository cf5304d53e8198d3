package credential_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/credential"
)

func TestHashMatchesTheSameSecretsOnly(t *testing.T) {
	right := map[string]string{"username": "admin", "password": "t0p-Secret"}
	for name, tc := range map[string]struct {
		secrets map[string]string
		want    bool
	}{
		"same":                {map[string]string{"password": "t0p-Secret", "username": "admin"}, true},
		"wrong value":         {map[string]string{"username": "admin", "password": "guess"}, false},
		"a key less":          {map[string]string{"password": "t0p-Secret"}, false},
		"a key more":          {map[string]string{"username": "admin", "password": "t0p-Secret", "x": ""}, false},
		"values changed over": {map[string]string{"username": "t0p-Secret", "password": "admin"}, false},
		"none":                {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := credential.New(right)
			if err != nil {
				t.Fatal(err)
			}
			got, err := hash.Matches(tc.secrets)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("matches = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestHashIsSaltedAndTellsNothing(t *testing.T) {
	secrets := map[string]string{"password": "t0p-Secret"}
	one, err := credential.New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	two, err := credential.New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one.Sum, two.Sum) {
		t.Error("two hashes of the same secrets are equal: no salt")
	}
	state, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(state, []byte("t0p-Secret")) {
		t.Errorf("state %s holds the secret", state)
	}
}
