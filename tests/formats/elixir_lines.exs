# Lines of {"source"} give lines of {"text", "value"} or {"error"}: what `mix format` makes of a config.exs, and what
# Elixir reads from that, with the type before each value.
defmodule Lines do
  def run(line) do
    source = line |> JSON.decode!() |> Map.fetch!("source")
    text = IO.iodata_to_binary([Code.format_string!(source), ?\n])
    %{text: text, value: read(text)}
  rescue
    error -> %{error: Exception.message(error)}
  end

  defp read(text) do
    path = Path.join(System.tmp_dir!(), "config.exs")
    File.write!(path, text)
    for {application, settings} <- Config.Reader.read!(path), {key, value} <- settings do
      [inspect(application), inspect(key), typed(value)]
    end
  rescue
    _error -> nil
  end

  defp typed(value) when is_atom(value), do: ["atom", inspect(value)]
  defp typed(value) when is_binary(value), do: ["string", value]
  defp typed(value) when is_integer(value), do: ["integer", value]
  defp typed(value) when is_float(value), do: ["float", value]
  defp typed(value) when is_list(value), do: ["list", Enum.map(value, &typed/1)]
  defp typed(value) when is_tuple(value), do: ["tuple", value |> Tuple.to_list() |> Enum.map(&typed/1)]
  defp typed(value) when is_map(value), do: ["map", value |> Map.to_list() |> Enum.map(fn {k, v} -> [typed(k), typed(v)] end)]
end

for line <- IO.stream(:stdio, :line), do: line |> Lines.run() |> JSON.encode!() |> IO.puts()
