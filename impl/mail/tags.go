package mail

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxTags   = 10
	maxTag    = 64
	maxTagSet = 4 << 10
)

// ParseTags reads tags that are separated by commas: at most 10, each of 1 to
// 64 ASCII letters, digits, "_", "-" and ".", not counting the spaces around
// it. Repeated tags are dropped, the order is kept. A string of spaces has no
// tags: the result is nil.
func ParseTags(s string) ([]string, error) {
	if strings.Trim(s, " ") == "" {
		return nil, nil
	}
	// Check the length before splitting, so that a long input costs no work.
	if len(s) > maxTagSet {
		return nil, fmt.Errorf("are longer than %d octets", maxTagSet)
	}
	given := strings.Split(s, ",")
	if len(given) > maxTags {
		return nil, fmt.Errorf("are more than %d", maxTags)
	}
	tags := make([]string, 0, len(given))
	for i, tag := range given {
		tag = strings.Trim(tag, " ")
		if err := checkTag(tag); err != nil {
			return nil, fmt.Errorf("tag %d of %d %w", i+1, len(given), err)
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

func checkTag(tag string) error {
	switch {
	case tag == "":
		return errors.New("is empty")
	case len(tag) > maxTag:
		return fmt.Errorf("is longer than %d characters", maxTag)
	}
	for _, r := range tag {
		if r >= 0x80 || (!isLetterOrDigit(byte(r)) && r != '_' && r != '-' && r != '.') {
			return fmt.Errorf("contains %q; letters, digits, _, - and . are allowed", r)
		}
	}
	return nil
}
