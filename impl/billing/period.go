package billing

import "time"

// Period is a calendar month in UTC.
type Period struct {
	// Key is the month as YYYY-MM.
	Key string
	// Start is the first moment of the month, End the first after it.
	Start, End time.Time
}

// PeriodAt returns the period that a moment belongs to.
func PeriodAt(t time.Time) Period {
	t = t.UTC()
	start := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return Period{Key: start.Format("2006-01"), Start: start, End: start.AddDate(0, 1, 0)}
}
