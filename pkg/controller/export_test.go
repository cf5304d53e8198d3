package controller

// Remembered counts the entries that the controller keeps about waiting and
// running keys.
func (c *Controller[K]) Remembered() int { return c.wakeups.size() }

func (w *wakeups[K]) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) + len(w.wants) + len(w.running)
}
