(() => {
  const made = document.getElementById("made"), old = document.getElementById("old"), since = Date.parse(made.dateTime);
  const show = () => {
    const minutes = Math.floor((Date.now() - since) / 60000);
    old.hidden = minutes < 5;
    if (old.hidden) return;
    const age = minutes < 120 ? `${minutes} minutes` : minutes < 2880 ? `${Math.floor(minutes / 60)} hours` : `${Math.floor(minutes / 1440)} days`;
    old.textContent = `These figures have not been renewed for ${age}: they stand as of ${made.textContent}. How the service is now, this page does not know.`;
  };
  show();
  setInterval(show, 30000);
})();