package modify

// Remembered returns the number of claims with writes that the informer has not
// shown.
func (c *Controller) Remembered() int {
	c.writes.mu.Lock()
	defer c.writes.mu.Unlock()
	return len(c.writes.of)
}
