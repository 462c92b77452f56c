package sessim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

const (
	// maxMessageBytes is the largest message that SES accepts.
	// https://docs.aws.amazon.com/ses/latest/dg/quotas.html
	maxMessageBytes = 40 << 20
	// maxRequestBytes allows for JSON's escapes.
	maxRequestBytes = 64 << 20
	// The API reference of ListSuppressedDestinations has "a maximum of 1000"; how many there are without PageSize it
	// does not say.
	// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
	defaultPageSize = 100
	maxPageSize     = 1000
)

// apiError is an error of the SES API. The model of the service, which the SDKs ship, names the errors of each operation and
// their statuses; contracttests/boto holds every one against it. Errors of all operations:
// https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/common-errors.html
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func badRequest(message string) error {
	return &apiError{http.StatusBadRequest, "BadRequestException", message}
}

func notFound(message string) error {
	return &apiError{http.StatusNotFound, "NotFoundException", message}
}

func alreadyExists(message string) error {
	return &apiError{http.StatusBadRequest, "AlreadyExistsException", message}
}

func limitExceeded(message string) error {
	return &apiError{http.StatusBadRequest, "LimitExceededException", message}
}

const (
	codeUnsigned            = "MissingAuthenticationToken"
	codeIncompleteSignature = "IncompleteSignature"
)

// operation is one operation of the API. It returns the response body, sent as JSON with status 200.
type operation struct {
	name string
	do   func(r *http.Request, body []byte) (any, error)
}

// empty is the response of operations that return nothing.
type empty struct{}

func unknownOperation(*http.Request, []byte) (any, error) {
	return nil, &apiError{http.StatusNotFound, "UnknownOperationException", "Unknown operation."}
}

// serve wraps an operation in what all have in common: faults, signature check, errors.
func (s *Simulator) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.setRequestID(w)
		s.calls.add("ses:" + op.name)
		defer s.count(r.Context(), op.name)()
		// Read the body first: until then, the server does not notice that a client disconnected.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		if err == nil {
			err = s.faults.before(r.Context(), op.name, s.closed)
		}
		if err == nil {
			err = checkSignature(r)
		}
		var answer any
		if err == nil {
			answer, err = op.do(r, body)
		}
		if err != nil {
			s.fail(w, op.name, err)
			return
		}
		if op.name == opSendEmail && s.faults.dropAnswer() {
			s.answers.dropped.Add(1)
			panic(http.ErrAbortHandler) // cuts the connection
		}
		s.write(w, http.StatusOK, answer)
	})
}

// checkSignature requires a version 4 signature but does not verify it: anyone who reaches a simulator may use it.
func checkSignature(r *http.Request) error {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return &apiError{http.StatusForbidden, codeUnsigned, "Missing Authentication Token"}
	}
	if !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 ") || !strings.Contains(authorization, "Credential=") ||
		!strings.Contains(authorization, "SignedHeaders=") || !strings.Contains(authorization, "Signature=") {
		return &apiError{
			http.StatusForbidden, codeIncompleteSignature,
			"Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters.",
		}
	}
	return nil
}

func (s *Simulator) fail(w http.ResponseWriter, op string, err error) {
	if errors.Is(err, errCut) {
		panic(http.ErrAbortHandler)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = tooLong(tooLarge.Limit)
	}
	var refusal *apiError
	if !errors.As(err, &refusal) {
		s.log.Error("simulator failed", slog.String("operation", op), slog.Any("error", err))
		refusal = &apiError{http.StatusInternalServerError, "InternalFailure", "Internal failure."}
	}
	w.Header().Set("X-Amzn-ErrorType", refusal.code)
	s.write(w, refusal.status, map[string]string{"__type": refusal.code, "message": refusal.message})
}

func (s *Simulator) write(w http.ResponseWriter, status int, answer any) {
	data, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("encode a response", slog.Any("error", err))
		status, data = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		s.log.Debug("write a response", slog.Any("error", err))
	}
}

func (s *Simulator) setRequestID(w http.ResponseWriter) {
	var id uuid.UUID
	if err := s.randomBytes(id[:]); err != nil {
		s.log.Error("make a request id", slog.Any("error", err))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4
	w.Header().Set("X-Amzn-RequestId", id.String())
}

// decode decodes a request body. It ignores unknown members, as SES does.
func decode[T any](body []byte) (T, error) {
	var request T
	if err := json.Unmarshal(body, &request); err != nil {
		return request, badRequest("The request body is not valid JSON for this operation.")
	}
	return request, nil
}

// pageRequest says which page of a list is wanted.
type pageRequest struct {
	NextToken string
	PageSize  int
}

// page returns one page of the sorted names, and the token of the next page, which holds the last name.
func page(wanted pageRequest, names []string) (part []string, next string, err error) {
	size := wanted.PageSize
	if size < 0 || size > maxPageSize {
		return nil, "", badRequest("PageSize is invalid.")
	}
	if size == 0 { // an SDK's zero value
		size = defaultPageSize
	}
	slices.Sort(names)
	if wanted.NextToken != "" {
		last, err := base64.RawURLEncoding.DecodeString(wanted.NextToken)
		if err != nil {
			return nil, "", errNextToken
		}
		i, found := slices.BinarySearch(names, string(last))
		if found {
			i++
		}
		names = names[i:]
	}
	if len(names) <= size {
		return names, "", nil
	}
	return names[:size], base64.RawURLEncoding.EncodeToString([]byte(names[size-1])), nil
}

// errNextToken is an invalid NextToken. Only ListSuppressedDestinations has an error of its own for it.
var errNextToken = errors.New("the token is not valid")

// pageOfBody is page, for the operations that have the wanted page in their body.
func pageOfBody(body []byte, names []string) (part []string, next string, err error) {
	wanted, err := decode[pageRequest](body)
	if err != nil {
		return nil, "", err
	}
	part, next, err = page(wanted, names)
	if errors.Is(err, errNextToken) {
		err = badRequest("NextToken is invalid.")
	}
	return part, next, err
}
