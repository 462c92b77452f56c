package template

// requestSteps is how many steps the rendering of one request may take in all, about 50 ms of processor time at worst. An
// invoice of a hundred lines takes about a thousand.
const requestSteps = 300_000

// Budget bounds the rendering of all parts that a request asks for. It is not safe for concurrent use.
type Budget struct{ spent int }

// remaining returns how many steps one part may take.
func (b *Budget) remaining() int {
	if b == nil {
		return maxSteps
	}
	return max(0, min(maxSteps, requestSteps-b.spent))
}

func (b *Budget) spend(steps int) {
	if b != nil {
		b.spent += steps
	}
}
