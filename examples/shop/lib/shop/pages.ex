defmodule Shop.Pages do
  @moduledoc "What people and programs read besides JSON."

  @doc "The manual as HTML: Markdown with its code highlighted (ex_doc, makeup and its lexers)."
  def manual do
    "manual.md"
    |> read()
    |> ExDoc.Markdown.to_ast()
    |> ExDoc.DocAST.to_string()
    |> ExDoc.DocAST.highlight(ExDoc.Language.Elixir)
  end

  @doc "The manual page for `man`, from AsciiDoc (asciideck)."
  def man do
    "shop.asciidoc"
    |> read()
    |> :asciideck.parse()
    |> :asciideck.to_manpage(%{extra1: "2026-01-02"})
  end

  @doc "The products as XML (fast_xml)."
  def feed do
    :fxml.element_to_binary({:xmlel, "products", [], Enum.map(Shop.Catalog.all(), &element/1)})
  end

  defp element(product) do
    {:xmlel, "product", [{"id", "#{product.id}"}, {"cents", "#{product.cents}"}],
     [{:xmlcdata, product.name}]}
  end

  defp read(name), do: :shop |> Application.app_dir(["priv", "/", name]) |> File.read!()
end
