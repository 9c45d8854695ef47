import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Lines of {"text"} give lines of {"value"}: what the library that HOCON comes from reads. */
class ReadHocon {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new java.io.PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line; (line = lines.readLine()) != null; ) {
            // JSON is HOCON too.
            var text = ConfigFactory.parseString(line).getString("text");
            try {
                var value = ConfigFactory.parseString(text).root().render(ConfigRenderOptions.concise());
                out.println("{\"value\":" + value + "}");
            } catch (ConfigException error) {
                out.println("{}");
            }
        }
        out.flush();
    }
}
