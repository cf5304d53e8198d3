package options

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Journal is how volumes are recorded before they are created.
type Journal struct {
	// Mode is one of the constants.
	Mode string
	// Namespace is that of the pod; empty where it is not known.
	Namespace string
	// Pod and PodUID are those of the pod; empty where they are not known.
	Pod, PodUID string
	// MaxAge is the age from which a record counts only while its claim exists; 0 for no
	// limit.
	MaxAge time.Duration
}

// What is done when volumes can't be recorded.
const (
	// JournalAuto goes on without the journal if the right to write it is missing.
	JournalAuto = "auto"
	// JournalRequired creates no volume without it.
	JournalRequired = "required"
	// JournalOff does not use it.
	JournalOff = "off"
)

func journalModes() []string { return []string{JournalAuto, JournalRequired, JournalOff} }

func addJournal(fs *pflag.FlagSet, c *Config) {
	fs.DurationVar(&c.Journal.MaxAge, "provisioning-journal-max-age", DefaultJournalMaxAge, "Set aside records of the journal that are older and whose claim does not exist, as they may come from a backup: csi-provisioner audit shows them. 0 is no limit.")
	fs.StringVar(&c.Journal.Mode, "provisioning-journal", JournalAuto, "Record volumes in ConfigMaps of the pod's namespace before they are created, so that none is lost when the program crashes: auto (if the right to is there), required (or end with an error) or off.")
}

// DefaultJournalMaxAge is longer than a cluster is without its sidecars.
const DefaultJournalMaxAge = 24 * time.Hour

func settleJournal(c *Config, environment func(string) string) {
	c.Journal.Namespace = environment("POD_NAMESPACE")
	c.Journal.Pod, c.Journal.PodUID = environment("POD_NAME"), environment("POD_UID")
}

func validateJournal(j Journal) (errs []error) {
	if j.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("--provisioning-journal-max-age=%s: must not be negative; 0 is no limit", j.MaxAge))
	}
	if !slices.Contains(journalModes(), j.Mode) {
		errs = append(errs, fmt.Errorf("--provisioning-journal=%s%s: must be one of %s", j.Mode, hint(j.Mode, journalModes(), ""), strings.Join(journalModes(), ", ")))
	}
	return errs
}
