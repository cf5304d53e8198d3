package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A Report is something measured that can be shown as tables in Markdown, and encoded as
// JSON.
type Report interface{ Table() string }

// jsonExtension is how the names of files end that hold JSON.
const jsonExtension = ".json"

// Write writes a report to a file: as JSON if the name ends in .json, otherwise as
// Markdown. Without a path there is nothing to write.
func Write(path string, report Report) error {
	if path == "" {
		return nil
	}
	content := []byte(report.Table())
	if filepath.Ext(path) == jsonExtension {
		encoded, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding the figures: %w", err)
		}
		encoded = append(encoded, '\n')
		content = encoded
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// Read reads a report that was written as JSON.
func Read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the figures of an earlier run: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading the figures of an earlier run from %s: %w", path, err)
	}
	return nil
}
