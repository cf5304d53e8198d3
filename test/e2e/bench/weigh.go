package bench

import (
	"context"
	"fmt"
	"os"
)

// weigh measures the programs themselves.
func weigh(_ context.Context, _ *scene, c contender, m sample) error {
	for _, p := range c.programs {
		file, err := os.Stat(p.path)
		if err != nil {
			return fmt.Errorf("weighing a program: %w", err)
		}
		m[size] += float64(file.Size()) / megabyte
	}
	return nil
}
