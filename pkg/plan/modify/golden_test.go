package modify_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

var update = flag.Bool("update", false, "write what is decided into testdata instead of comparing it")

// script runs each line of a file, "given | expected", and compares what comes
// of it. Empty lines and those that begin with # are kept as they are.
func script(t *testing.T, path string, run func(t *testing.T, given string) string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	width := 0
	for _, line := range lines {
		if given, ok := given(line); ok {
			width = max(width, len(given))
		}
	}
	got := make([]string, 0, len(lines))
	for _, line := range lines {
		if given, ok := given(line); ok {
			line = fmt.Sprintf("%-*s | %s", width, given, run(t, given))
		}
		got = append(got, line)
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("%s: decided otherwise (-want +got; -update writes it):\n%s", path, diff)
	}
}

func given(line string) (string, bool) {
	given, _, _ := strings.Cut(line, "|")
	given = strings.TrimSpace(given)
	return given, given != "" && !strings.HasPrefix(given, "#")
}

func verdicts() map[modify.Verdict]string {
	return map[modify.Verdict]string{
		modify.Skip: "Skip", modify.Pause: "Pause", modify.Pending: "Pending",
		modify.Cancel: "Cancel", modify.Reject: "Reject", modify.Act: "Act",
	}
}

// parse makes a situation of the words of a line.
func parse(t *testing.T, words []string) modify.Input {
	t.Helper()
	in, classFact := situation(), ""
	for _, word := range words {
		if fact, ok := strings.CutPrefix(word, "class="); ok {
			classFact = fact
			continue
		}
		with(t, &in, word)
	}
	provide(&in, classFact)
	return in
}

// describe is a decision in one line: the verdict; what is asked of the driver;
// how the claim's state must become; what is wrong.
func describe(in modify.Input, d modify.Decision) string {
	words := []string{verdicts()[d.Verdict]}
	if p := d.Plan; p != nil {
		if p.Begins {
			words = append(words, "begins")
		}
		call := p.Request.GetVolumeId()
		for _, key := range slices.Sorted(maps.Keys(p.Request.GetMutableParameters())) {
			call += " " + key + ":" + p.Request.GetMutableParameters()[key]
		}
		if p.Secret != nil {
			call += " with " + p.Secret.String()
		}
		words = append(words, p.Target+"("+call+")")
	}
	words = append(words, change(in.Claim, d.Claim, in))
	if d.Err != nil {
		words = append(words, "; "+d.Err.Error())
	}
	return strings.Join(words, " ")
}

func change(from, to *corev1.PersistentVolumeClaim, in modify.Input) string {
	if cmp.Equal(from, to) {
		return "-> same"
	}
	return "-> " + show(to, in.Now)
}

// TestDecide decides about every line of testdata/decide.txt. Run it with
// -update to have the right side written, and read what has changed.
func TestDecide(t *testing.T) {
	script(t, filepath.Join("testdata", "decide.txt"), func(t *testing.T, given string) string {
		in := parse(t, strings.Fields(given))
		return describe(in, modify.Decide(in))
	})
}

// TestFailed has the driver fail in every line of testdata/failed.txt: with the
// outcome, the code and the message that its first words say.
func TestFailed(t *testing.T) {
	script(t, filepath.Join("testdata", "failed.txt"), func(t *testing.T, given string) string {
		words := strings.Fields(given)
		in := parse(t, words[3:])
		plan := &modify.Plan{Target: "gold"}
		return change(in.Claim, modify.Failed(in, plan, failure(t, words)), in)
	})
}

func failure(t *testing.T, words []string) modify.Failure {
	t.Helper()
	outcome, ok := map[string]modify.Outcome{
		"unfinished": modify.Unfinished, "final": modify.Final, "infeasible": modify.Infeasible,
	}[words[0]]
	if !ok {
		t.Fatalf("what is %q?", words[0])
	}
	return modify.Failure{Outcome: outcome, Code: words[1], Message: strings.ReplaceAll(words[2], "_", " ")}
}

// TestConclude has the driver succeed in every line of testdata/done.txt.
func TestConclude(t *testing.T) {
	script(t, filepath.Join("testdata", "done.txt"), func(t *testing.T, given string) string {
		in := parse(t, strings.Fields(given))
		c := modify.Conclude(in, &modify.Plan{Target: "gold"})
		result := fmt.Sprintf("volume=%s cur=%s -> %s", *c.Volume.Spec.VolumeAttributesClassName, *c.Claim.Status.CurrentVolumeAttributesClassName, show(c.Claim, in.Now))
		if len(c.Claim.Status.Conditions) != 1 {
			t.Errorf("%s: the conditions of others are %v", given, c.Claim.Status.Conditions)
		}
		return result
	})
}

// TestMessages reads what a claim's user does.
func TestMessages(t *testing.T) {
	in := parse(t, []string{"spec=gold"})
	in.Claim = modify.Decide(in).Claim
	plan := &modify.Plan{Target: "gold"}
	for name, test := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  []string
	}{
		"under way": {in.Claim, []string{
			`ModifyingVolume: The driver is modifying the volume to VolumeAttributesClass "gold".`,
		}},
		"unfinished": {modify.Failed(in, plan, modify.Failure{Outcome: modify.Unfinished, Code: "Aborted", Message: "busy"}), []string{
			`ModifyingVolume: The driver has not finished modifying the volume to VolumeAttributesClass "gold".`,
			`ModifyVolumeError: busy`,
		}},
		"final": {modify.Failed(in, plan, modify.Failure{Outcome: modify.Final, Code: "Internal", Message: "disk on fire"}), []string{
			`ModifyingVolume: The driver has failed to modify the volume to VolumeAttributesClass "gold" and is asked again later.`,
			`ModifyVolumeError: disk on fire`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range test.claim.Status.Conditions[1:] {
				got = append(got, string(c.Type)+": "+c.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPauseSince finds when the driver has called a class infeasible.
func TestPauseSince(t *testing.T) {
	for name, test := range map[string]struct {
		facts []string
		want  error
	}{
		"never":                   {nil, errNever},
		"under way":               {[]string{"InProgress=gold", "modifying", "error=Internal"}, errNever},
		"infeasible":              {[]string{"Infeasible=gold", "modifying=WaitingForRetry"}, nil},
		"infeasible, by the peer": {[]string{"Infeasible=gold", "error=InvalidArgument"}, nil},
		"infeasible, both":        {[]string{"Infeasible=gold", "modifying", "error=InvalidArgument"}, nil},
		"infeasible, who knows":   {[]string{"Infeasible=gold"}, errNever},
	} {
		t.Run(name, func(t *testing.T) {
			since, ok := modify.PauseSince(parse(t, test.facts).Claim)
			want := early()
			if ok != (test.want == nil) || ok && !since.Equal(&want) {
				t.Errorf("since %s, %t", since, ok)
			}
		})
	}
}

var errNever = errors.New("never")

// TestPauseBeginsWithTheLastAnswer does not let an old condition end the pause.
func TestPauseBeginsWithTheLastAnswer(t *testing.T) {
	in := parse(t, []string{"spec=gold", "Infeasible=gold", "modifying=WaitingForRetry", "error=InvalidArgument", "rested"})
	again := modify.Decide(in)
	in.Claim = again.Claim
	in.Claim = modify.Failed(in, again.Plan, modify.Failure{Outcome: modify.Infeasible, Code: "InvalidArgument", Message: "as before"})
	since, ok := modify.PauseSince(in.Claim)
	if want := late(); !ok || !since.Equal(&want) {
		t.Errorf("the pause began at %s, %t, want %s", since, ok, want)
	}
}
