package sessim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/voostack/mailstack/impl/snssim"
)

const maxControlBytes = 1 << 20

// controlRoutes adds the simulator's own API, for tests and accounting where it runs as a process of its own.
//
//	GET|POST|DELETE /_sim/faults   the faults to inject: Faults
//	GET|PUT /_sim/account          AccountChange
//	GET /_sim/messages?limit=&messageId=   {"data": [Accepted…]}, newest first
//	GET /_sim/messages/{id}        one message, by the id that SES gave it
//	GET /_sim/journal?after=&limit=   {"data": [Record…]}, oldest first
//	GET /_sim/stats                Stats
//	GET /_sim/answers              Answers
//	GET /_sim/operations           the simulated operations, by service
//	POST /_sim/publish             publishes a text to a topic: snssim.Published
func (s *Simulator) controlRoutes() {
	s.mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { s.write(w, http.StatusOK, s.Faults()) })
	s.mux.HandleFunc("POST /_sim/faults", s.controlFaults)
	s.mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("GET /_sim/account", func(w http.ResponseWriter, _ *http.Request) { s.write(w, http.StatusOK, s.account()) })
	s.mux.HandleFunc("PUT /_sim/account", s.controlAccount)
	s.mux.HandleFunc("GET /_sim/messages", s.controlMessages)
	s.mux.HandleFunc("GET /_sim/messages/{id}", s.controlMessage)
	s.mux.HandleFunc("GET /_sim/journal", s.controlJournal)
	s.mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) { s.write(w, http.StatusOK, s.Stats()) })
	s.mux.HandleFunc("GET /_sim/answers", func(w http.ResponseWriter, _ *http.Request) { s.write(w, http.StatusOK, s.Answers()) })
	s.mux.HandleFunc("GET /_sim/operations", func(w http.ResponseWriter, _ *http.Request) { s.write(w, http.StatusOK, s.operations()) })
	s.mux.HandleFunc("POST /_sim/publish", s.controlPublish)
	s.mux.HandleFunc("/_sim/", func(w http.ResponseWriter, _ *http.Request) { s.controlError(w, http.StatusNotFound, "no such route") })
}

func (s *Simulator) account() account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.account
}

func (s *Simulator) operations() map[string][]string {
	offered := s.topics.Operations()
	offered["ses"] = slices.Sorted(slices.Values(s.offered))
	return offered
}

func (s *Simulator) controlPublish(w http.ResponseWriter, r *http.Request) {
	text, err := decodeControl[snssim.Published](w, r)
	if err != nil {
		s.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.topics.Publish(text.Topic, text.Text)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Simulator) controlFaults(w http.ResponseWriter, r *http.Request) {
	f, err := decodeControl[Faults](w, r)
	if err != nil {
		s.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.SetFaults(f)
	s.write(w, http.StatusOK, f)
}

func (s *Simulator) controlAccount(w http.ResponseWriter, r *http.Request) {
	change, err := decodeControl[AccountChange](w, r)
	if err == nil {
		err = s.SetAccount(change)
	}
	if err != nil {
		s.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.write(w, http.StatusOK, s.account())
}

func (s *Simulator) controlMessages(w http.ResponseWriter, r *http.Request) {
	limit, err := number(r, "limit", 100)
	if err != nil {
		s.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	wanted := r.URL.Query().Get("messageId")
	found := []Accepted{}
	for _, m := range s.Messages() {
		if int64(len(found)) == limit {
			break
		}
		if wanted == "" || m.MessageID == wanted {
			found = append(found, m)
		}
	}
	s.write(w, http.StatusOK, map[string]any{"data": found})
}

func (s *Simulator) controlMessage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.Message(r.PathValue("id"))
	if !ok {
		s.controlError(w, http.StatusNotFound, "no such message is kept")
		return
	}
	s.write(w, http.StatusOK, m)
}

func (s *Simulator) controlJournal(w http.ResponseWriter, r *http.Request) {
	after, err := number(r, "after", 0)
	limit, limitErr := number(r, "limit", 10_000)
	if err := errors.Join(err, limitErr); err != nil {
		s.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.write(w, http.StatusOK, map[string]any{"data": s.Records(after, int(min(limit, maxRecords)))})
}

func (s *Simulator) controlError(w http.ResponseWriter, status int, message string) {
	s.write(w, status, map[string]string{"error": message})
}

// number reads a query parameter as a number from 0 on.
func number(r *http.Request, name string, otherwise int64) (int64, error) {
	given := r.URL.Query().Get(name)
	if given == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New(name + " is no number from 0 on")
	}
	return n, nil
}

// decodeControl decodes a request strictly: a misspelt fault would strike nothing, and a test would pass without
// it.
func decodeControl[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var value T
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBytes))
	if err != nil {
		return value, err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	return value, decoder.Decode(&value)
}

func isNotFound(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.status == http.StatusNotFound
}
