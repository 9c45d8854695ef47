import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.stream.Collectors;

import net.dzikoysk.cdn.Cdn;
import net.dzikoysk.cdn.CdnFactory;
import net.dzikoysk.cdn.CdnUtils;
import net.dzikoysk.cdn.model.Array;
import net.dzikoysk.cdn.model.Configuration;
import net.dzikoysk.cdn.model.Element;
import net.dzikoysk.cdn.model.Entry;
import net.dzikoysk.cdn.model.Piece;
import net.dzikoysk.cdn.model.Section;
import net.dzikoysk.cdn.source.Source;

/**
 * json2cdn, many times in one run: lines of JSON in Base64 in, lines of the text and of what the library reads from it
 * out, or of an error. The library is that in the class path, json2cdn.jar.
 */
public class Json2CdnLines {

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(answer(new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8)));
        }
    }

    private static String answer(String json) {
        Cdn standard = CdnFactory.createStandard();
        try {
            String text = CdnFactory.createJsonLike().load(Source.of(json)).flatMap(standard::render).get() + "\n";
            return "text " + encode(text) + " " + encode(dump(standard.load(Source.of(text)).get()));
        } catch (RuntimeException error) {
            return "error " + encode(error.toString());
        }
    }

    private static String encode(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String dump(Element<?> element) {
        if (element instanceof Array) {
            Array array = (Array) element;
            // getList has only the pieces.
            boolean flat = array.getValue().stream().allMatch(Piece.class::isInstance);
            return flat
                ? array.getList().stream().map(Json2CdnLines::quote).collect(Collectors.joining(",", "[", "]"))
                : array.getValue().stream().map(Json2CdnLines::dump).collect(Collectors.joining(",", "[", "]"));
        }
        if (element instanceof Section) {
            Section section = (Section) element;
            return section.getValue().stream().map(Json2CdnLines::named).collect(Collectors.joining(",", "[[", "]]"));
        }
        String piece = ((Piece) element).getValue();
        return quote(CdnUtils.destringify(piece.endsWith(",") ? piece.substring(0, piece.length() - 1) : piece));
    }

    private static String named(Element<?> element) {
        if (element instanceof Entry) {
            Entry entry = (Entry) element;
            return "[" + quote(entry.getName()) + "," + quote(CdnUtils.destringify(entry.getPieceValue())) + "]";
        }
        if (element instanceof Section) {
            return "[" + quote(((Section) element).getName()) + "," + dump(element) + "]";
        }
        return dump(element);
    }

    private static String quote(String text) {
        return "\"" + encode(text) + "\"";
    }
}
