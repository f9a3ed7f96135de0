defmodule Shop.Orders do
  @moduledoc "Orders, in an SQLite database (sqlite3, a linked-in driver)."

  @table "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, total INTEGER, receipt TEXT)"

  def child_spec(_opts) do
    %{id: __MODULE__, start: {__MODULE__, :start_link, []}}
  end

  def start_link do
    database = Application.fetch_env!(:shop, :database)
    {:ok, pid} = :sqlite3.start_link(__MODULE__, file: String.to_charlist(database))
    :ok = :sqlite3.sql_exec(pid, @table)
    {:ok, pid}
  end

  @doc "Orders products: keeps the order and returns its number and its receipt."
  def place(products) do
    id = :base64url.encode(:crypto.strong_rand_bytes(9))
    total = products |> Enum.map(& &1.cents) |> Enum.sum()
    receipt = Shop.Receipt.make(%{id: id, total: total, items: products})
    insert = "INSERT INTO orders VALUES (?, ?, ?)"
    {:rowid, _} = :sqlite3.sql_exec(__MODULE__, insert, [id, total, receipt])
    %{id: id, total: total, receipt: receipt}
  end

  @doc "How many orders there are, and what they come to."
  def sum do
    [{count, total}] = query("SELECT count(*), coalesce(sum(total), 0) FROM orders")
    %{orders: count, total: total}
  end

  @doc "The version of the SQLite library."
  def version do
    [{version}] = query("SELECT sqlite_version()")
    version
  end

  defp query(sql) do
    :sqlite3.sql_exec(__MODULE__, sql) |> Keyword.fetch!(:rows)
  end
end
