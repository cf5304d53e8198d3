package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
)

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// WriteTable writes the report for people: a line for each volume, and a summary.
func (r *Report) WriteTable(w io.Writer) error {
	if err := r.writeTable(w); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func (r *Report) writeTable(w io.Writer) error {
	if len(r.Volumes) > 0 {
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		row(table, "STATE", "VOLUME", "SIZE", "PERSISTENTVOLUME", "CLAIM")
		for _, finding := range r.Volumes {
			row(table, finding.State.words(), finding.VolumeHandle, size(finding.CapacityBytes),
				strings.Join(finding.PersistentVolumes, ","), claims(finding.Claims))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	if err := r.writeRecords(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, strings.Join(r.conclusions(), "\n"))
	return err
}

// writeRecords writes a line for each record that is not acted upon.
func (r *Report) writeRecords(w io.Writer) error {
	if len(r.Records) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row(table, "RECORD", "STATE", "CLAIM", "VOLUME", "REASON")
	for _, kept := range r.Records {
		claim := ""
		if kept.Claim != nil {
			claim = claims([]Claim{*kept.Claim})
		}
		row(table, kept.ConfigMap+"/"+string(kept.Key), kept.State.words(), claim, cmp.Or(kept.VolumeHandle, kept.VolumeName), kept.Reason)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// row writes a line; what can't be written is told when the table is flushed.
func row(table *tabwriter.Writer, cells ...string) {
	for n, cell := range cells {
		if cell == "" {
			cell = "-"
		}
		cells[n] = printable(cell)
	}
	_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
}

// printable quotes what would spoil the table, or the terminal: handles are
// whatever a driver says.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func (s State) words() string {
	if s == InCreation {
		return "in creation"
	}
	return string(s)
}

func size(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return resource.NewQuantity(bytes, resource.BinarySI).String()
}

func claims(all []Claim) string {
	var texts []string
	for _, claim := range all {
		text := claim.Namespace + "/" + claim.Name
		if claim.Name == "" {
			text = "uid " + string(claim.UID)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}

// conclusions are the lines below the table.
func (r *Report) conclusions() []string {
	s := r.Summary
	lines := []string{fmt.Sprintf("CSI driver %s has %d volumes: %d known, %d in creation, %d unclear, %d unknown. PersistentVolumes whose volume is gone: %d.",
		r.Driver, s.Known+s.InCreation+s.Unclear+s.Unknown, s.Known, s.InCreation, s.Unclear, s.Unknown, s.Gone)}
	if len(r.OpenIntents) > 0 {
		lines = append(lines, fmt.Sprintf("Volumes are being made for %s, and no volume shows by its handle that it is one of them.", r.intents()))
	}
	if s.Unclear > 0 {
		line := fmt.Sprintf("The unclear volumes may be theirs: run the audit again when they are done. For certain nobody's: %d.", s.UnknownAtLeast)
		lines = append(lines, line)
	}
	if waiting := r.Waiting(); waiting > 0 {
		lines = append(lines, fmt.Sprintf("Records of the journal that wait for a decision: %d. Confirm or discard each with csi-provisioner audit --confirm=RECORD or --discard=RECORD; see docs/audit.md.", waiting))
	}
	for _, note := range r.Notes {
		lines = append(lines, printable(note))
	}
	return lines
}

// shownIntents is the number of intents that are told by name.
const shownIntents = 5

func (r *Report) intents() string {
	var names []string
	for _, intent := range r.OpenIntents[:min(shownIntents, len(r.OpenIntents))] {
		names = append(names, printable(claims([]Claim{intent.Claim})))
	}
	text := strings.Join(names, ", ")
	if more := len(r.OpenIntents) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
