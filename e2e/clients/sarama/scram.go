package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// SCRAM-SHA-512 (RFC 5802) as sarama wants it; it brings none of its own.
type scramClient struct {
	password, first, nonce string
	serverSignature        []byte
	step                   int
}

func (c *scramClient) Begin(user, password, _ string) error {
	random := make([]byte, 18)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	c.password, c.nonce, c.step = password, base64.RawStdEncoding.EncodeToString(random), 0
	c.first = "n=" + user + ",r=" + c.nonce
	return nil
}

func (c *scramClient) Done() bool { return c.step == 3 }

func (c *scramClient) Step(challenge string) (string, error) {
	c.step++
	switch c.step {
	case 1:
		return "n,," + c.first, nil
	case 2:
		return c.proof(challenge)
	default:
		if challenge != "v="+base64.StdEncoding.EncodeToString(c.serverSignature) {
			return "", fmt.Errorf("the server does not know the password: %q", challenge)
		}
		return "", nil
	}
}

func (c *scramClient) proof(challenge string) (string, error) {
	parts := map[string]string{}
	for _, part := range strings.Split(challenge, ",") {
		key, value, _ := strings.Cut(part, "=")
		parts[key] = value
	}
	salt, err := base64.StdEncoding.DecodeString(parts["s"])
	if err != nil || !strings.HasPrefix(parts["r"], c.nonce) {
		return "", fmt.Errorf("not a challenge: %q", challenge)
	}
	iterations, err := strconv.Atoi(parts["i"])
	if err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha512.New, c.password, salt, iterations, sha512.Size)
	if err != nil {
		return "", err
	}
	final := "c=biws,r=" + parts["r"]
	message := c.first + "," + challenge + "," + final
	key := mac(salted, "Client Key")
	stored := sha512.Sum512(key)
	for i, b := range mac(stored[:], message) {
		key[i] ^= b
	}
	c.serverSignature = mac(mac(salted, "Server Key"), message)
	return final + ",p=" + base64.StdEncoding.EncodeToString(key), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha512.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
