package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// expanded is the size that the user asks for in the end.
const expanded = "7Gi"

// credentialsFile tells the driver which secrets it takes for expanding a file
// system on its node: those of the story's Secret.
func (s *story) credentialsFile() (string, error) {
	content, err := json.Marshal(map[string]string{"username": "admin", "password": "t0p-Secret"})
	if err != nil {
		return "", fmt.Errorf("writing the driver's credentials: %w", err)
	}
	path := filepath.Join(s.stage.Cluster.Dir(), "credentials.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("writing the driver's credentials: %w", err)
	}
	return path, nil
}

// expand has the claim ask for more while the pod uses it.
func (s *story) expand(ctx context.Context) error {
	s.chapter("The user asks for " + expanded + " while the pod goes on; the driver expands the file system only with the credentials")
	if err := s.claims.Expand(ctx, claimName, expanded); err != nil {
		return err
	}
	if _, err := s.claims.WaitSize(ctx, claimName, expanded); err != nil {
		return err
	}
	s.tellCalls(ctx)
	s.line("the claim's status says " + expanded)
	return s.showFileSystem(ctx, "df in the same pod's volume says")
}

func (s *story) showFileSystem(ctx context.Context, says string) error {
	output, err := exec.CommandContext(ctx, "df", "--output=source,fstype,size", "-h", s.mount).Output()
	if err != nil {
		return fmt.Errorf("asking for the size of the file system at %s: %w", s.mount, err)
	}
	s.line(says)
	s.quote(string(output))
	return nil
}
