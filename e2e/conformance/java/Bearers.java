import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.jose4j.jwa.AlgorithmConstraints;
import org.jose4j.jwk.EcJwkGenerator;
import org.jose4j.jwk.JsonWebKey.OutputControlLevel;
import org.jose4j.jwk.JsonWebKeySet;
import org.jose4j.jwk.PublicJsonWebKey;
import org.jose4j.jwk.RsaJwkGenerator;
import org.jose4j.jws.JsonWebSignature;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.NumericDate;
import org.jose4j.keys.EllipticCurves;

/**
 * OAuth tokens, and Java's clients that log in with them. "make FOLDER" writes the keys of an issuer (jwks.json), those after a rotation
 * (rotated.json), and tokens, good and bad, one file each. "try BOOTSTRAP FOLDER NAME..." tells for each token how a client fares.
 */
public final class Bearers {
  private static final String PACKAGE = "org.apache.kafka.common.security.oauthbearer.";
  private final Path folder;

  private Bearers(String folder) {
    this.folder = Path.of(folder);
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("make")) {
      new Bearers(arguments[1]).make();
      return;
    }
    Bearers bearers = new Bearers(arguments[2]);
    for (int i = 3; i < arguments.length; i++) bearers.logIn(arguments[1], arguments[i]);
  }

  private static PublicJsonWebKey named(PublicJsonWebKey key, String id) {
    key.setKeyId(id);
    key.setUse("sig");
    return key;
  }

  private void write(String name, String text) throws Exception {
    Files.writeString(folder.resolve(name), text);
  }

  private static JwtClaims claims() {
    JwtClaims claims = new JwtClaims();
    claims.setIssuer("https://issuer.example");
    claims.setAudience("kafka");
    claims.setSubject("alice");
    claims.setStringClaim("client_id", "app-1");
    claims.setStringClaim("scope", "read write");
    claims.setIssuedAtToNow();
    claims.setExpirationTimeMinutesInTheFuture(10);
    return claims;
  }

  private static JwtClaims without(String claim) {
    JwtClaims claims = claims();
    claims.unsetClaim(claim);
    return claims;
  }

  private static JwtClaims with(String claim, Object value) {
    JwtClaims claims = claims();
    claims.setClaim(claim, value);
    return claims;
  }

  private static String signed(PublicJsonWebKey key, String algorithm, JwtClaims claims) throws Exception {
    JsonWebSignature token = new JsonWebSignature();
    token.setPayload(claims.toJson());
    token.setAlgorithmHeaderValue(algorithm);
    if (key == null) {
      token.setAlgorithmConstraints(AlgorithmConstraints.NO_CONSTRAINTS);
    } else {
      token.setKey(key.getPrivateKey());
      if (key.getKeyId() != null) token.setKeyIdHeaderValue(key.getKeyId());
    }
    return token.getCompactSerialization();
  }

  private void make() throws Exception {
    PublicJsonWebKey rsa = named(RsaJwkGenerator.generateJwk(2048), "rsa-1");
    PublicJsonWebKey ec = named(EcJwkGenerator.generateJwk(EllipticCurves.P256), "ec-1");
    PublicJsonWebKey p384 = named(EcJwkGenerator.generateJwk(EllipticCurves.P384), "ec-2");
    PublicJsonWebKey next = named(EcJwkGenerator.generateJwk(EllipticCurves.P256), "ec-next");
    PublicJsonWebKey stranger = named(RsaJwkGenerator.generateJwk(2048), "rsa-1");
    PublicJsonWebKey unknown = named(RsaJwkGenerator.generateJwk(2048), "unknown");
    write("jwks.json", new JsonWebKeySet(rsa, ec, p384).toJson(OutputControlLevel.PUBLIC_ONLY));
    write("rotated.json", new JsonWebKeySet(rsa, next).toJson(OutputControlLevel.PUBLIC_ONLY));
    write("rs256", signed(rsa, "RS256", claims()));
    write("rs512", signed(rsa, "RS512", claims()));
    write("ps256", signed(rsa, "PS256", claims()));
    write("es256", signed(ec, "ES256", claims()));
    write("es384", signed(p384, "ES384", claims()));
    write("rotated", signed(next, "ES256", claims()));
    write("stranger", signed(stranger, "RS256", claims()));
    write("unknown-key", signed(unknown, "RS256", claims()));
    write("other-audience", signed(rsa, "RS256", with("aud", List.of("web", "mail"))));
    write("one-of-two-audiences", signed(rsa, "RS256", with("aud", List.of("web", "kafka"))));
    write("no-audience", signed(rsa, "RS256", without("aud")));
    write("other-issuer", signed(rsa, "RS256", with("iss", "https://elsewhere.example")));
    write("no-subject", signed(rsa, "RS256", without("client_id")));
    write("doubled-scope", signed(rsa, "RS256", with("scope", List.of("read", "read"))));
    write("list-of-scopes", signed(rsa, "RS256", with("scope", List.of("read", "write"))));
    JwtClaims early = claims();
    early.setNotBeforeMinutesInThePast(-5);
    write("not-yet", signed(rsa, "RS256", early));
    JwtClaims skewed = claims();
    skewed.setNotBefore(NumericDate.fromSeconds(NumericDate.now().getValue() + 15));
    write("within-skew", signed(rsa, "RS256", skewed));
    // What no client would send, for a login by hand.
    JwtClaims late = claims();
    late.setIssuedAt(NumericDate.fromSeconds(NumericDate.now().getValue() - 3600));
    late.setExpirationTime(NumericDate.fromSeconds(NumericDate.now().getValue() - 60));
    write("expired", signed(rsa, "RS256", late));
    write("no-iat", signed(rsa, "RS256", without("iat")));
    write("unsigned", signed(null, "none", claims()));
  }

  private void logIn(String bootstrap, String name) throws Exception {
    String url = folder.resolve(name).toUri().toString();
    System.setProperty("org.apache.kafka.sasl.oauthbearer.allowed.urls", url);
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("security.protocol", "SASL_PLAINTEXT");
    settings.put("sasl.mechanism", "OAUTHBEARER");
    settings.put("sasl.jaas.config", PACKAGE + "OAuthBearerLoginModule required ;");
    settings.put("sasl.login.callback.handler.class", PACKAGE + "OAuthBearerLoginCallbackHandler");
    settings.put("sasl.oauthbearer.token.endpoint.url", url);
    String outcome;
    try (Admin admin = Admin.create(settings)) {
      admin.describeCluster().nodes().get(20, TimeUnit.SECONDS);
      outcome = "logged in";
    } catch (ExecutionException e) {
      outcome = e.getCause().getClass().getSimpleName() + ", " + e.getCause().getMessage();
    }
    System.out.println(name + ": " + outcome);
  }
}
