// The shop: teas, a cart in the page's address, a banner. Everything it tells Consentry goes through `tell`.
const TEAS = [
  { id: "sencha", name: "Sencha", kind: "green", price: 9.5, text: "Grassy, bright, from the first flush." },
  { id: "assam", name: "Assam", kind: "black", price: 7.9, text: "Malty, and stands up to milk." },
  { id: "silver-needle", name: "Silver Needle", kind: "white", price: 18, text: "Buds only, honey and hay." },
  { id: "rooibos", name: "Rooibos", kind: "herbal", price: 6.2, text: "No caffeine, a hint of vanilla." },
  { id: "dragonwell", name: "Dragonwell", kind: "green", price: 14.5, text: "Pan-fired, chestnut." },
  { id: "earl-grey", name: "Earl Grey", kind: "black", price: 8.4, text: "Bergamot, and nothing artificial." },
];

/** Works before and after the SDK has loaded. */
const tell = (...call) => (window.consentry = window.consentry || []).push(call);

const $ = (id) => document.getElementById(id);

/** What is in the cart travels in the address (`?cart=sencha.assam`): a shop needs no storage before a choice. */
const query = new URLSearchParams(location.search);
let cart = (query.get("cart") || "").split(".").filter((id) => TEAS.some((tea) => tea.id === id));
const teaOf = (id) => TEAS.find((tea) => tea.id === id);
const total = () => cart.reduce((sum, id) => sum + teaOf(id).price, 0);
const money = (amount) => amount.toFixed(2) + " EUR";

const address = (page, more = {}) => {
  const parameters = new URLSearchParams(more);
  if (cart.length) parameters.set("cart", cart.join("."));
  const text = parameters.toString();
  return page + (text ? "?" + text : "");
};

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const carryCart = () => {
  $("count").textContent = cart.length;
  for (const link of document.querySelectorAll("header a, main a")) {
    const url = new URL(link.href);
    if (url.origin !== location.origin) continue;
    cart.length ? url.searchParams.set("cart", cart.join(".")) : url.searchParams.delete("cart");
    link.href = url.href;
  }
};

const add = (tea) => {
  cart.push(tea.id);
  history.replaceState(null, "", address(location.pathname, query.get("id") ? { id: query.get("id") } : {}));
  carryCart();
};

const addButton = (tea) => {
  const button = element("button", { type: "button", textContent: "Add to cart", onclick: () => add(tea) });
  button.dataset.track = "product_added";
  button.dataset.trackProductId = tea.id;
  button.dataset.trackPrice = tea.price;
  return button;
};

const card = (tea) =>
  element(
    "div",
    { className: "card " + tea.kind },
    element("div", { className: "swatch" }),
    element("h2", {}, element("a", { href: address("product.html", { id: tea.id }), textContent: tea.name })),
    element("p", { textContent: tea.text }),
    element("div", { className: "buy" }, element("strong", { textContent: money(tea.price) }), addButton(tea)),
  );

const showProduct = () => {
  const tea = teaOf(query.get("id")) || TEAS[0];
  document.title = tea.name + " | Leaf & Cup";
  $("product").className = tea.kind;
  $("product").append(element("div", { className: "swatch" }), element("h1", { textContent: tea.name }), element("p", { textContent: tea.text }), element("p", { textContent: money(tea.price) }), addButton(tea));
  tell("track", "product_viewed", { product_id: tea.id, category: tea.kind, price: tea.price });
};

const showCart = () => {
  const rows = cart.map((id) => element("div", { className: "row" }, element("span", { textContent: teaOf(id).name }), element("span", { textContent: money(teaOf(id).price) })));
  const end = cart.length
    ? element("p", {}, element("a", { className: "button", href: address("checkout.html"), textContent: "Check out: " + money(total()) }))
    : element("p", { textContent: "Nothing here yet." });
  $("cart").append(...rows, end);
  tell("track", "cart_viewed", { items: cart.length, value: total() });
};

const startCheckout = () => {
  $("total").textContent = money(total());
  tell("track", "checkout_started", { items: cart.length, value: total() });
  $("order").addEventListener("submit", (event) => {
    event.preventDefault();
    tell("track", "order_completed", { order_id: "demo-" + Date.now().toString(36), revenue: total(), currency: "EUR", items: cart.length });
    location.href = "thanks.html";
  });
};

const PAGES = {
  teas: () => $("teas").append(...TEAS.map(card)),
  product: showProduct,
  cart: showCart,
  order: startCheckout,
  letter: () =>
    $("letter").addEventListener("submit", (event) => {
      event.preventDefault();
      $("letter").replaceWith(element("p", { textContent: "Thank you (nothing was sent)." }));
    }),
};

/**
 * The banner. A yes is remembered by the SDK; a refusal by a cookie of the session that says only that, so that nobody is asked
 * on every page.
 */
const CHOICES = { all: ["analytics", "marketing"], analytics: ["analytics"], none: [] };

const choose = (granted) => {
  const refused = CHOICES.all.filter((purpose) => !granted.includes(purpose));
  const held = window.consentry.consent?.get() || {};
  const taken = refused.filter((purpose) => held[purpose]);
  const denied = refused.filter((purpose) => !held[purpose]);
  if (granted.length) tell("consent.grant", granted);
  if (taken.length) tell("consent.withdraw", taken);
  if (denied.length) tell("consent.deny", denied);
  document.cookie = granted.length ? "shop_choice=; Max-Age=0; SameSite=Lax" : "shop_choice=refused; SameSite=Lax";
  $("banner").hidden = true;
};

const askIfNew = () => {
  if (document.cookie.includes("shop_choice=refused")) tell("consent.deny");
  else if (window.consentry.consent.get().analytics === undefined) $("banner").hidden = false;
};

for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => choose(CHOICES[button.dataset.choice]));
$("choices").addEventListener("click", () => ($("banner").hidden = false));
for (const [id, show] of Object.entries(PAGES)) if ($(id)) show();
carryCart();
if (window.consentry && window.consentry.consent) askIfNew();
else document.querySelector("script[data-key]").addEventListener("load", askIfNew);
